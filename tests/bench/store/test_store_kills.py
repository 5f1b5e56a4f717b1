"""A store whose writer is killed: at every step by which it touches the disk, and at any moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from bench.errors import StoreError
from bench.store.files import LEFTOVER_SECONDS
from bench.store.records import FAILED, Record
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, Contents, Store
from tests.killed_writers import make_template, sample

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals and forks"),
]

KILLS = 60
FLUSH_FOLDER = ["open", "fsync", "close"]
QUARANTINED = [f"unreadable/{table}-{sample(0).run_id}.parquet" for table in (EPOCHS, RUNS)]


def killed_writers(*arguments: object) -> str:
    """Run ``tests.killed_writers`` and return what it prints."""
    command = [sys.executable, "-m", "tests.killed_writers", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def sweep(
    action: str, tmp_path: Path, *, every: int = 1, damaged: bool = False
) -> tuple[list[str], list[Path]]:
    """Return the steps of an action and, for each, the folder whose writer was killed at it.

    The action was done to its end in the last folder. ``every`` leaves out the steps in between.
    """
    template = tmp_path / "template"
    make_template(template)
    if damaged:
        path = Store(template).path(EPOCHS, sample(0).run_id)
        path.write_bytes(path.read_bytes()[:-1])
    killed_writers("sweep", action, template, tmp_path / "swept", every)
    steps = json.loads((tmp_path / "swept" / "steps.json").read_text())
    folders = sorted(path for path in (tmp_path / "swept").iterdir() if path.is_dir())
    assert len(folders) == len(steps[::every]) + 1
    return steps, folders


def rows_of(contents: Contents, record: Record) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a run's rows in both tables."""
    tables = (contents.runs, contents.epochs)
    runs, epochs = (table[table["run_id"] == record.run_id] for table in tables)
    return runs.reset_index(drop=True), epochs.reset_index(drop=True)


def assert_same(contents: Contents, expected: Contents, *seeds: int) -> None:
    """The rows of these seeds are in both, and equal."""
    for seed in seeds:
        pairs = zip(rows_of(contents, sample(seed)), rows_of(expected, sample(seed)), strict=True)
        for found, wanted in pairs:
            assert len(found) > 0
            assert found.equals(wanted)


def assert_swept_clean(folders: Sequence[Path]) -> None:
    """What a killed writer left is there for a day, for it may be a living one's, and then gone."""
    for folder in folders:
        store = Store(folder)
        store.prepare([RUNS, EPOCHS, THROUGHPUT])
        leftovers = list(folder.rglob(".*.part"))
        assert 1 <= len(leftovers) <= 2  # the template has one
        for path in leftovers:
            old = time.time() - LEFTOVER_SECONDS - 60
            os.utime(path, (old, old))
        store.prepare([RUNS, EPOCHS, THROUGHPUT])
        assert list(folder.rglob(".*.part")) == []


@pytest.mark.parametrize(
    ("action", "seed", "every"), [("write_new", 9, 1), ("write_over_failed", 8, 3)]
)
def test_killed_writing(action: str, seed: int, every: int, tmp_path: Path) -> None:
    """Killed at any step, a new run is whole or to be done again, and what was there stays."""
    steps, folders = sweep(action, tmp_path, every=every)
    before, done = Store(tmp_path / "template").read(), Store(folders[-1]).read()
    run_id = sample(seed).run_id
    for folder in folders:
        store = Store(folder)
        contents = store.read()
        assert contents.unreadable == {}
        assert_same(contents, before, 0, 1)
        stored = run_id in set(contents.runs.query("status == 'ok'")["run_id"])
        if stored:
            assert_same(contents, done, seed)
        else:
            assert run_id not in set(contents.epochs["run_id"])
            assert len(contents.runs) == 3  # the failed record too
        finished = store.finished([sample(n).run_id for n in (0, 1, seed)])
        assert finished == {sample(n).run_id for n in (0, 1)} | ({run_id} if stored else set())
        assert len(pd.read_parquet(folder / RUNS)) == len(contents.runs)
        store.write(sample(seed))
        assert_same(store.read(), done, 0, 1, seed)
    assert_swept_clean(folders[::4])
    # A kill loses nothing that was written; a power cut does unless it was flushed, in this order.
    calls = [step.removeprefix("before ") for step in steps if step.startswith("before ")]
    calls = calls[calls.index("write") - 1 :]  # before that, what is there is read
    assert calls == ["open", "write", "flush", "fsync", "replace", *FLUSH_FOLDER] * 2


def test_killed_resuming(tmp_path: Path) -> None:
    """Killed at any step of quarantining a damaged run and doing it again, nothing is lost."""
    _, folders = sweep("resume", tmp_path, every=2, damaged=True)
    before, done = Store(tmp_path / "template").read(), Store(folders[-1]).read()
    assert list(before.unreadable) == [f"{EPOCHS}/{sample(0).run_id}.parquet"]
    assert list(done.unreadable) == QUARANTINED
    assert_same(done, before, 1)
    damaged = Store(tmp_path / "template").path(EPOCHS, sample(0).run_id).read_bytes()
    for folder in folders:
        store = Store(folder)
        contents = store.read()
        assert contents.unreadable
        assert_same(contents, before, 1)
        stored = sample(0).run_id in set(contents.runs["run_id"])
        assert (store.finished([sample(0).run_id]) != set()) == stored
        store.write(sample(0))
        assert_same(store.read(), done, 0, 1)
        assert damaged in [path.read_bytes() for path in (folder / "unreadable").iterdir()]
        assert list(store.read().unreadable) == QUARANTINED
    assert_swept_clean(folders[::4])


def test_killed_measuring(tmp_path: Path) -> None:
    """Killed at any step, a measurement is whole or not there; the one before it stays."""
    _, folders = sweep("measure", tmp_path, every=3)
    before, done = Store(tmp_path / "template").read(), Store(folders[-1]).read()
    counts = []
    for folder in folders:
        contents = Store(folder).read()
        assert contents.unreadable == {}
        wanted = done if "m1" in set(contents.throughput["measurement_id"]) else before
        assert contents.throughput.equals(wanted.throughput)
        assert_same(contents, before, 0, 1)
        counts.append(len(contents.throughput))
    assert counts == sorted(counts)
    assert set(counts) == {1, 2}


def test_killed_compacting(tmp_path: Path) -> None:
    """Killed at any step, a compacted store is whole, empty, or says that it was cut short."""
    _, folders = sweep("compact", tmp_path, every=3)
    before, done = Store(tmp_path / "template").read(), Store(folders[-1] / "compact").read()
    ends = []
    for folder in folders:
        assert Store(folder).read().runs.equals(before.runs)
        store = Store(folder / "compact")
        try:
            contents = store.read()
        except StoreError:
            ends.append("no store")
            continue
        if contents.unreadable:
            assert list(contents.unreadable) == ["runs/runs.parquet"]
            with pytest.raises(StoreError, match="holds a store already"):
                Store(folder).compact(store.folder)
            ends.append("cut short")
        elif len(contents.runs):
            for table in ("runs", "epochs", "throughput"):
                assert getattr(contents, table).equals(getattr(done, table))
            ends.append("whole")
        else:
            assert len(contents.epochs) == len(contents.throughput) == 0
            ends.append("empty")
    assert set(ends) == {"no store", "empty", "cut short", "whole"}
    empty = folders[ends.index("empty")]
    Store(empty).compact(empty / "compact")
    assert Store(empty / "compact").read().runs.equals(done.runs)
    assert ends == sorted(ends, key=["no store", "empty", "cut short", "whole"].index)


def test_killed_at_random_moments(tmp_path: Path) -> None:
    """Every run that a killed writer had reported is there; what it was at is whole or absent."""
    told = json.loads(killed_writers("loop", tmp_path, KILLS))
    assert len(told) > KILLS / 2
    store = Store(tmp_path)
    contents = store.read()
    assert contents.unreadable == {}
    stored = set(contents.runs["run_id"])
    assert {sample(seed).run_id for seed in told} <= stored
    # A writer is killed at most once between writing a run and saying so.
    assert len(stored) <= len(told) + KILLS
    assert store.finished(stored) == stored
    assert set(contents.runs["status"]) == {"ok"}
    for seed in told:
        runs, epochs = rows_of(contents, sample(seed))
        assert runs["started_at"].tolist() == [sample(seed).outcome.started_at]
        assert epochs["valid_loss"].tolist() == [epoch.valid_loss for epoch in sample(seed).epochs]
    assert FAILED not in set(contents.runs["status"])
