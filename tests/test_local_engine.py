"""Runs in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.engines.local import run_all
from bench.engines.work import Finished
from bench.environment import read_provenance
from bench.records import FAILED, OK, Run
from bench.store import Store
from tests.conftest import small_run


def run(runs: Sequence[Run], folder: Path, watch: object) -> list[Finished]:
    """Run ``runs`` in two workers and store them in ``folder``."""
    Store(folder).prepare()
    return run_all(
        runs,
        results=str(folder),
        jobs=2,
        provenance=read_provenance("cpu"),
        watch=watch,  # type: ignore[arg-type]
    )


def test_all_are_stored_and_reported(tmp_path: Path) -> None:
    """Every run is stored, reported once, and seen running."""
    runs = [small_run("Model4", seed) for seed in range(3)]
    reported: list[Run] = []
    seen: set[Run] = set()

    def watch(running: Sequence[Run], finished: Finished | None) -> None:
        seen.update(running)
        if finished:
            reported.append(finished.run)

    ended = run(runs, tmp_path, watch)
    assert [result.status for result in ended] == [OK] * 3
    assert {result.run for result in ended} == set(reported) == set(runs)
    assert seen <= set(runs)
    assert all(0 < (result.accuracy or 0) < 1 for result in ended)
    assert len(Store(tmp_path).read().runs) == 3


def test_dead_worker_costs_its_run_only(tmp_path: Path) -> None:
    """A worker that is killed loses the run that it was at; the others are done."""
    runs = [small_run("Model3", seed, epochs=20) for seed in range(2)]
    runs += [small_run("Model4", seed) for seed in range(2)]
    killed = []

    def watch(running: Sequence[Run], _: Finished | None) -> None:
        if len(running) == 2 and not killed:
            victim = multiprocessing.active_children()[0]
            killed.append(victim.pid)
            os.kill(victim.pid or 0, signal.SIGKILL)

    ended = run(runs, tmp_path, watch)
    failed = [result for result in ended if result.status == FAILED]
    assert len(failed) == 1
    assert "worker process ended" in (failed[0].error or "")
    assert len(Store(tmp_path).read().runs) == 3


def test_interrupt_stops_the_workers(tmp_path: Path) -> None:
    """Ctrl-C ends the workers and leaves a store that can be read."""

    def watch(running: Sequence[Run], _: Finished | None) -> None:
        if running:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run([small_run("Model3", seed, epochs=20) for seed in range(4)], tmp_path, watch)
    assert multiprocessing.active_children() == []
    assert len(Store(tmp_path).read().runs) == 0


def test_full_disk_is_reported(tmp_path: Path) -> None:
    """A record that cannot be stored is a failed run with the reason, not a silent one."""
    Store(tmp_path).prepare()
    gone = tmp_path / "gone"
    ended = run_all(
        [small_run()],
        results=str(gone),
        jobs=1,
        provenance=read_provenance("cpu"),
        watch=lambda *_: None,
    )
    assert ended[0].status == FAILED
    assert "could not be stored" in (ended[0].error or "")
