"""A clock that was set back: in records, in the times of files, between nights."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.store.files import LEFTOVER_SECONDS
from bench.store.records import Record
from bench.store.store import RUNS, Contents, Store
from reports.history import nights as history
from reports.runs.completeness import find_problems
from reports.runs.night import Night
from reports.runs.selection import select
from tests.history_data import FIRST, made_up_history
from tests.killed_writers import sample
from tests.made_up import START, made_up_record

CLOCK = ["started_at", "ended_at"]


def night(folder: Path, shifts: list[timedelta]) -> tuple[Store, list[Record]]:
    """Return a store of as many runs, with the clock moved so before each, and the runs."""
    store, records = Store(folder), []
    store.prepare()
    for seed, shift in enumerate(shifts):
        for variant in ("Model4", "Model5"):
            record = made_up_record(variant, seed)
            # It ends before it starts: the clock was set back in the middle.
            times = {"started_at": START + shift, "ended_at": START + shift - timedelta(hours=1)}
            record = replace(record, outcome=replace(record.outcome, **times))
            store.write(record)
            records.append(record)
    return store, records


def without_clock(contents: Contents) -> list[pd.DataFrame]:
    """Return everything that a reader makes tables of, but for what the clock said."""
    selection = select(contents)
    return [
        contents.epochs,
        *(frame.drop(columns=CLOCK) for frame in (contents.runs, selection.runs, selection.grid)),
        selection.epochs,
    ]


def test_nothing_depends_on_the_clock(tmp_path: Path) -> None:
    """A clock that goes back and forth, in records and files, changes nothing but the times."""
    days = [timedelta(days=day) for day in range(6)]
    expected, _ = night(tmp_path / "expected", days)
    store, records = night(tmp_path / "store", [days[n] * (-1) ** n for n in (5, 0, 3, 4, 1, 2)])
    generator = np.random.default_rng(0)
    for path in store.folder.rglob("*.parquet"):
        when = int(generator.integers(0, 4_000_000_000))  # from 1970 to 2096
        os.utime(path, (when, when))
    assert store.finished([r.run_id for r in records]) == {r.run_id for r in records}
    contents = store.read()
    assert contents.unreadable == {}
    for found, wanted in zip(without_clock(contents), without_clock(expected.read()), strict=True):
        assert found.equals(wanted)
    assert find_problems(Night.of(contents)) == find_problems(Night.of(expected.read()))
    copies = [s.compact(s.folder / "compact") for s in (store, expected)]
    frames = [without_clock(Store(copy).read()) for copy in copies]
    for found, wanted in zip(*frames, strict=True):
        assert found.equals(wanted)


@pytest.mark.parametrize(
    ("age", "stays"), [(-LEFTOVER_SECONDS, True), (0, True), (2 * LEFTOVER_SECONDS, False)]
)
def test_leftover(tmp_path: Path, age: int, *, stays: bool) -> None:
    """Only what is older than a day is removed, and only under a temporary name."""
    store = Store(tmp_path)
    store.prepare()
    store.write(sample(1))
    (tmp_path / RUNS / ".x.abc.part").write_bytes(b"half")
    for path in tmp_path.glob("*/*"):
        when = path.stat().st_mtime - age
        os.utime(path, (when, when))
    store.prepare()
    assert (tmp_path / RUNS / ".x.abc.part").exists() == stays
    assert store.finished([sample(1).run_id]) == {sample(1).run_id}


def test_nights_of_a_clock_that_goes_back(tmp_path: Path) -> None:
    """Every night that was appended is there with its own values, in the order of its times."""
    nights = made_up_history(4)
    starts = sorted(nights["night"].unique())
    times = dict(zip(starts, (FIRST - pd.Timedelta(days=n) for n in (0, 3, 1, 2)), strict=True))
    moved = nights.assign(night=nights["night"].map(times))
    for start in times.values():
        history.append(tmp_path, moved[moved["night"] == start])
    found, unreadable = history.read(tmp_path)
    assert unreadable == {}
    assert found["night"].is_monotonic_increasing
    expected = moved.sort_values("night", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
