"""Measuring the false alarms of the verdict on throughput, and the slow-downs that it finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.store.store import Store
from reports.__main__ import main
from reports.verdict import timed_nights
from reports.verdict.rates import FOLDER, SLOWED, TIMED, found_slowdowns
from reports.verdict.throughput import changes, compare, ratios_of
from reports.verdict.timed_nights import (
    BACKEND,
    CASES,
    EVERYTHING,
    NOWHERE,
    REFERENCE,
    rates_of,
    recorded,
    restored,
)
from tests.made_up import contents_of, made_up_record, throughput_rows

STEPS = {"nn": 2.0, "custom": 4.0, "calibration": 3.0}


def measured(number: int) -> pd.DataFrame:
    """Return a measurement of two models whose samples vary by 2%, with CPU times."""
    each = [throughput_rows(STEPS, variant=name, rounds=9) for name in ("Model4", "Model5")]
    rows = pd.concat(each, ignore_index=True)
    noise = np.random.default_rng(number).normal(1, 0.02, (2, len(rows)))
    started_at = rows["started_at"] + pd.Timedelta(days=number)
    rows = rows.assign(measurement_id=f"m{number}", started_at=started_at)
    wall, cpu = rows["wall_seconds"].to_numpy() * noise
    return rows.assign(wall_seconds=wall, device_seconds=cpu)


def test_recorded_and_restored() -> None:
    """What is kept of a measurement judges as the measurement does, to four digits."""
    samples = pd.concat(map(measured, range(3)), ignore_index=True)
    nights = recorded(samples)
    assert list(nights["night"].unique()) == [0, 1, 2]
    assert len(nights) == 3 * 2 * 4
    first, *_ = restored(nights)
    theirs = samples[(samples["measurement_id"] == "m0") & (samples["phase"] == "train_step")]
    keys = ["variant", "backend", "aa_control", "round"]
    first, theirs = (rows.set_index(keys).sort_index() for rows in (first, theirs))
    steps = theirs["wall_seconds"] / theirs["steps"]
    assert np.allclose(first["wall_seconds"], steps[first.index], rtol=1e-3)
    with pytest.raises(ValueError, match="2 measurements of train_step are too few"):
        recorded(samples[samples["measurement_id"] != "m2"])
    with pytest.raises(ValueError, match="no CPU time"):
        recorded(samples.assign(device_seconds=np.nan))


def test_rates() -> None:
    """A slow-down of half is always found where it is, and nothing where there is none."""
    nights = recorded(pd.concat(map(measured, range(4)), ignore_index=True))
    places = (NOWHERE, BACKEND, REFERENCE, EVERYTHING)
    rates = rates_of(nights, [(place, 0.5 * (place != NOWHERE)) for place in places])
    assert rates["found"].tolist() == [0, 4, 4, 4]
    assert rates["nights"].tolist() == [4] * 4


@pytest.mark.parametrize("place", [BACKEND, REFERENCE, EVERYTHING])
def test_slower_times_are_found_alike(place: str) -> None:
    """Multiplied seconds give the changes that the counts are made of."""
    nights = restored(recorded(pd.concat(map(measured, range(3)), ignore_index=True)))
    ratios = ratios_of(nights[0])
    where = timed_nights._where(ratios, place, 0)
    rows = nights[0][["variant", "backend"]].apply(tuple, axis=1).isin(where)
    slow = nights[0].copy()
    slow.loc[rows, ["wall_seconds", "device_seconds"]] *= 1.2
    by_times = changes(slow, nights[1])
    by_ratios = compare(timed_nights._slowed(ratios, where, 0.2), ratios_of(nights[1]))
    assert [c.slower for c in by_times] == [c.slower for c in by_ratios]
    assert [c.change for c in by_times] == pytest.approx([c.change for c in by_ratios])
    assert [c.high for c in by_times] == pytest.approx([c.high for c in by_ratios])


def test_published_rates() -> None:
    """The published counts follow from the published nights."""
    nights, published = (pd.read_csv(FOLDER / name) for name in (TIMED, SLOWED))
    assert list(map(tuple, published[["place", "slowdown"]].to_numpy().tolist())) == [*CASES]
    assert (published["nights"] == nights["night"].nunique()).all()
    pd.testing.assert_frame_equal(rates_of(nights), published)
    rates = found_slowdowns(published)
    assert rates[NOWHERE][0.0].trials >= 100


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``calibrate --throughput`` prints the rates and writes both tables; bad input is named."""
    contents = contents_of([made_up_record("Model4", 0)])
    rows = pd.concat(map(measured, range(3)), ignore_index=True)
    folder, output = tmp_path / "results", tmp_path / "out"
    words = ["calibrate", "--throughput", "--results", str(folder), "--output", str(output)]
    Store(folder).write_contents(type(contents)(contents.runs, contents.epochs, rows, {}))
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("no change: 0 of 3 (0.0%; 0.0% to 70.8%) failed")
    assert "everything slower by 50%: 3 of 3 (100.0%; 29.2% to 100.0%) found" in text
    assert {path.name for path in output.iterdir()} == {TIMED, SLOWED}
    empty = tmp_path / "empty"
    Store(empty).write_contents(contents)
    assert main(["calibrate", "--throughput", "--results", str(empty), "--output", "x"]) == 2
    assert "0 measurements of train_step are too few to compare: repeat" in capsys.readouterr().err
    assert main(["calibrate", "--results", str(empty), "--output", "x"]) == 2
    assert "--again is missing" in capsys.readouterr().err
