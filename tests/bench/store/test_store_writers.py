"""Two writers on one store, while others read and compact it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.store.records import FAILED
from bench.store.store import EPOCHS, RUNS, Store
from tests.killed_writers import OTHERS, SHARED, sample
from tests.made_up import with_outcome

ROUNDS = 6
TIMES = ["started_at", "ended_at", "total_seconds"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_two_writers(tmp_path: Path) -> None:
    """Two that resume one store at once store each run whole and once, seen by readers so."""
    command = [sys.executable, "-m", "tests.killed_writers", "race", str(tmp_path), str(ROUNDS)]
    subprocess.run(command, check=True)
    aside = [f"unreadable/{table}-{sample(0).run_id}.parquet" for table in (EPOCHS, RUNS)]
    for number, folder in enumerate(sorted(tmp_path.iterdir())):
        contents = Store(folder).read()
        assert list(contents.unreadable) == (aside if number % 2 else [])
        seeds = [*SHARED, *OTHERS]
        assert sorted(contents.runs["run_id"]) == sorted(sample(seed).run_id for seed in seeds)
        epochs = contents.epochs.groupby("run_id")
        for row in contents.runs.to_dict(orient="records"):
            seed = row["seed"]
            writers = {sample(seed, writer=writer).outcome.total_seconds for writer in range(4)}
            assert row["total_seconds"] in writers
            losses = [epoch.valid_loss for epoch in sample(seed).epochs]
            assert list(epochs.get_group(row["run_id"])["valid_loss"]) == losses
        assert list(folder.rglob(".*.part")) == []
        for copy in folder.glob("compact-*"):
            # Where both wrote a run in the same moment, the one that was copied may be the other's.
            copied = Store(copy).read().runs.drop(columns=TIMES)
            assert len(copied) == len(copied.merge(contents.runs, on=list(copied.columns))) > 0


def test_finished_run_stays(tmp_path: Path) -> None:
    """A later record of a finished run, a failed one too, does not take its place."""
    store = Store(tmp_path)
    store.prepare()
    store.write(sample(1, writer=1))
    files = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    store.write(sample(1, writer=2))
    store.write(with_outcome(sample(1, writer=2), FAILED, "out of memory"))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")} == files
    assert store.finished([sample(1).run_id]) == {sample(1).run_id}


def test_failed_run_is_seen_until_it_is_done(tmp_path: Path) -> None:
    """While a failed run is done again its record stays in sight, until the new one is whole."""
    store = Store(tmp_path)
    store.prepare()
    store.write(sample(1))
    epochs = store.path(EPOCHS, sample(1).run_id).read_bytes()
    store.path(RUNS, sample(1).run_id).unlink()
    store.path(EPOCHS, sample(1).run_id).unlink()
    store.write(with_outcome(sample(1), FAILED, "injected"))
    store.path(EPOCHS, sample(1).run_id).write_bytes(epochs)
    contents = store.read()
    assert list(contents.runs["status"]) == [FAILED]
    assert len(contents.epochs) == 0
    assert contents.unreadable == {}
    assert store.finished([sample(1).run_id]) == set()
