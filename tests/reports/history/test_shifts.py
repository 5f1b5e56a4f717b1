"""Accepted shifts: their files, and the tests for drift that restart at them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.store.store import Store
from reports.__main__ import main
from reports.history.nights import append, read
from reports.history.past import Past, _periods, read_past
from reports.history.shifts import Shift, read_shifts, record
from reports.pages.history_section import history_section
from reports.verdict.acceptance import Acceptance
from tests.computed_nights import computed_night, departing, with_runs
from tests.history_data import FIRST, REASON, made_up_history, summary

ACCEPTED = Acceptance(REASON, "2026-02-03T04:05:06Z", "c" * 40, ("Model5 nn",), ("Model5 cell",))
MOVED = 30
"""The night from which the means are others."""


def night(number: int) -> pd.Timestamp:
    """Return a made-up night's start."""
    return FIRST + pd.Timedelta(days=number)


def shifted_history(folder: Path, *accepted: Shift, nights: int = 60) -> Past:
    """Return a history whose accuracy is higher from ``MOVED`` on, with accepted shifts."""
    generator = np.random.default_rng(0)
    same = made_up_history(1).drop(columns=list(summary(0, np.zeros((2, 2)), start=0)))
    for number in range(nights):
        draws = generator.standard_normal((2, 50))
        draws[0] += 3.0 * (number >= MOVED)
        rows = pd.DataFrame([summary(number, draws, start=50 * number)])
        append(folder, rows.merge(same, how="cross"))
    for shift in accepted:
        record(folder, shift)
    return read_past(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Shifts come back as they were, oldest first; one of the same night takes its place."""
    shifts = [
        Shift(night(5) + pd.Timedelta(microseconds=7), night(1), ACCEPTED),
        Shift(night(2), None, replace(ACCEPTED, changes=("accuracy is better",))),
    ]
    for shift in shifts:
        record(tmp_path, shift)
    assert read_shifts(tmp_path) == ((shifts[1], shifts[0]), {})
    again = replace(shifts[1], acceptance=replace(ACCEPTED, reason="another"))
    assert record(tmp_path, again).name == "20260104T030400Z.json"
    assert read_shifts(tmp_path)[0][0] == again
    assert read_shifts(tmp_path / "nowhere") == ((), {})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", "{}", "[" * 100_000, '{"night": 1}', "\udcff",
        '{"night": "2026-01-02", "replaces": null, "reason": ""}',
    ],
)  # fmt: skip
def test_damaged_shifts(text: str, tmp_path: Path) -> None:
    """A file that is no shift is named, and the others are read."""
    record(tmp_path, Shift(night(2), None, ACCEPTED))
    path = tmp_path / "_accepted" / "x.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    shifts, unreadable = read_shifts(tmp_path)
    assert [shift.night for shift in shifts] == [night(2)]
    assert list(unreadable) == ["_accepted/x.json"]
    assert unreadable["_accepted/x.json"].startswith("it is no accepted shift (")
    assert read_past(tmp_path).unreadable == unreadable


def test_drift_restarts_at_an_accepted_shift(tmp_path: Path) -> None:
    """Before it is accepted, a shift is a drift that stands; after that there is none."""
    past = shifted_history(tmp_path)
    assert {drift.measure for drift in past.test.drifts if drift.standing}
    record(tmp_path, Shift(night(MOVED), night(0), ACCEPTED))
    past = read_past(tmp_path)
    assert past.test.drifts == ()
    assert past.test.nights == 60 - MOVED - 1, "later nights are held against the accepted one"
    before, after = past.periods
    assert (before.since, after.since) == (None, night(MOVED))
    assert before.nights["night"].max() == night(MOVED - 1)
    assert before.baseline is not None
    assert set(before.baseline["night"]) == {night(0)}
    assert past.baseline is not None
    assert set(past.baseline["night"]) == {night(MOVED)}


def test_drift_from_the_accepted_baseline_is_found(tmp_path: Path) -> None:
    """After the shift, going back to what was before is a drift."""
    past = shifted_history(tmp_path, Shift(night(MOVED), night(0), ACCEPTED), nights=40)
    assert past.test.drifts == ()
    for number in range(40, 60):
        rows = made_up_history(1, seeds=50, random=number)
        append(tmp_path, rows.assign(night=night(number)))
    (drift, *_) = read_past(tmp_path).test.drifts
    assert drift.since >= night(40)
    assert drift.standing


def test_an_accepted_night_that_the_history_lacks(tmp_path: Path) -> None:
    """The first nights after it are the reference for the rest."""
    shift = Shift(night(MOVED) + pd.Timedelta(hours=1), None, ACCEPTED)
    past = shifted_history(tmp_path, shift)
    assert past.baseline is None
    assert past.test.drifts == ()
    assert past.test.nights == 60 - MOVED - 1 - 10


def test_a_configuration_that_was_dropped(tmp_path: Path) -> None:
    """What drifted before the shift and has no runs since stands no more."""
    past = shifted_history(tmp_path)
    other = past.nights.assign(backend="cell")[past.nights["night"] < night(MOVED + 20)]
    both = pd.concat([past.nights, other])
    for _, rows in both.groupby("night"):
        append(tmp_path, rows)
    assert any(drift.backend == "cell" for drift in read_past(tmp_path).test.drifts)
    record(tmp_path, Shift(night(MOVED + 20), night(0), ACCEPTED))
    assert not any(drift.backend == "cell" for drift in read_past(tmp_path).test.drifts)


def test_section_names_the_event(tmp_path: Path) -> None:
    """The report says what was accepted, for which configurations, and since when it tests."""
    past = shifted_history(tmp_path, Shift(night(MOVED), night(0), ACCEPTED))
    text = history_section(past.nights, past.unreadable, past.test, {}, past.shifts)
    assert (
        "- 2026-02-01: targets start at the first word: &lt;b&gt;better&lt;/b&gt; "
        "(Model5 nn, Model5 cell)"
    ) in text
    assert "over 29 nights since the shift of 2026-02-01." in text
    assert "Accepted shifts" not in history_section(past.nights, {}, past.test, {})


def test_acceptance_is_an_event_of_the_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``baseline accept --history`` adds the night, what it replaces, and the reason."""
    history, baseline = tmp_path / "history", tmp_path / "baseline"
    changed = departing(computed_night(3), "Model4", 0.01, column="accuracy")
    starts = []
    for number, contents in enumerate((computed_night(3), with_runs(changed))):
        moved = {
            name: contents.runs[name] + pd.Timedelta(days=number)
            for name in ("started_at", "ended_at")
        }
        results = tmp_path / f"night{number}"
        Store(results).write_contents(replace(contents, runs=contents.runs.assign(**moved)))
        starts.append(moved["started_at"].min())
        against = ["--baseline", str(baseline)] if number else []
        main(["check", "--results", str(results), "--history", str(history), *against])
        if not number:
            words = ["--results", str(results), "--output", str(baseline)]
            assert main(["baseline", "freeze", *words]) == 0
    printed = capsys.readouterr().out
    assert f"--reason TEXT --history {history}" in printed
    words = ["--results", str(results), "--baseline", str(baseline), "--reason", REASON]
    assert main(["baseline", "accept", *words, "--history", str(history)]) == 0
    past = read_past(history)
    (shift,) = past.shifts
    assert (shift.night, shift.replaces) == (starts[1], starts[0])
    assert (shift.acceptance.reason, shift.acceptance.from_baseline) == (REASON, ("Model4 nn",))
    assert [len(period.nights["night"].unique()) for period in past.periods] == [1, 1]
    assert past.baseline is not None
    assert set(past.baseline["night"]) == {starts[1]}, "the history knows the accepted night"


def test_the_kept_baseline_counts_if_it_is_newer(tmp_path: Path) -> None:
    """A baseline that was frozen after the last shift takes its place, an older one does not."""
    shifted_history(tmp_path, Shift(night(MOVED), night(0), ACCEPTED))
    nights, _ = read(tmp_path)
    shifts, _ = read_shifts(tmp_path)
    for number, taken in ((MOVED - 5, False), (MOVED + 5, True)):
        kept = nights[nights["night"] == night(number)]
        *_, last = _periods(nights, shifts, kept)
        assert last.baseline is not None
        assert (set(last.baseline["night"]) == {night(number)}) == taken
