"""Runs in worker processes of this machine, and what can go wrong with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.engines import local
from bench.engines.ledger import Ledger
from bench.engines.limits import Limits
from bench.engines.local import run_all
from bench.engines.work import Display, Halted, Message, Trained, Trainer
from bench.execution.environment import read_environment, read_provenance, reproducible_settings
from bench.store.records import FAILED, OK, Run, run_id
from bench.store.store import Store
from tests.conftest import small_run
from tests.nights import RUNS, Night, are_gone, processes_below, wait_for
from tests.trainers import made_up_run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="signals")]

KILLED = "its worker was killed by SIGKILL, as the system does when memory runs out"


def test_real_runs_are_stored(tmp_path: Path) -> None:
    """Real trainings in a worker are stored under the ids that were planned, with their end."""
    runs = [small_run("Model4", seed) for seed in range(2)]
    with reproducible_settings():
        environment = read_environment("cpu")
    store, provenance = Store(tmp_path), read_provenance("cpu")
    store.prepare()
    ended = run_all(
        runs,
        Trainer(provenance),
        Ledger(store, environment, provenance),
        jobs=1,
        display=Display(),
    )
    assert [result.status for result in ended] == [OK] * 2
    assert all(0 < (result.accuracy or 0) < 1 for result in ended)
    stored = Store(tmp_path).read().runs
    assert set(stored["run_id"]) == {run_id(run, environment) for run in runs}


LOST = {
    "killed": KILLED,
    "crashed": "its worker was killed by SIGSEGV",
    "exit 3": "its worker ended with exit code 3",
    "exit 0": "its worker ended with exit code 0",
    "broken": "RuntimeError: CUDA error: an illegal memory access was encountered",
}


def test_lost(tmp_path: Path) -> None:
    """However a worker ends, its run is tried once more; what happened each time is said."""
    faults = {seed: (fault,) for seed, fault in enumerate(LOST)}
    night = Night(tmp_path, faults | {len(LOST): ("killed", "exit 3")})
    runs = [made_up_run(seed) for seed in range(len(LOST) + 2)]
    assert night.run(run_all, runs) == [*[OK] * len(LOST), FAILED, OK]
    reasons = [*LOST.values(), KILLED]
    assert sorted(night.lines) == [
        f"Model4 nn seed {seed}: {reason}; it is tried once more"
        for seed, reason in enumerate(reasons)
    ]
    error = f"attempt 1: {KILLED}; attempt 2: {LOST['exit 3']}"
    assert night.stored().loc[len(LOST), "error"] == error
    attempts = [night.trainer.processes(run.seed) for run in runs]
    assert [len(set(processes)) for processes in attempts] == [*[2] * len(reasons), 1]
    assert processes_below(os.getpid()) == set()


def test_hung(tmp_path: Path) -> None:
    """A run without an end is ended, tried once more and recorded as failed; others go on."""
    night = Night(tmp_path, {1: ("asleep",), 3: ("stopped", "stopped")})
    limits = Limits(floor_seconds=1.0, of_peers=1.0, of_others=1.0)
    assert night.run(run_all, limits=limits) == [OK, OK, OK, FAILED]
    assert {line.partition(":")[0] for line in night.lines} == {
        "Model4 nn seed 1",
        "Model4 nn seed 3",
    }
    error = night.stored().loc[3, "error"]
    hung = r"hung: no result after 1 seconds, which is \d+ times the slowest of its [123] peers?"
    assert re.fullmatch(f"attempt 1: {hung}; attempt 2: {hung}", error)
    assert processes_below(os.getpid()) == set()


def test_worker_dies_between_two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is killed after its record was sent costs neither that run nor the next."""
    receive, killed = local.LocalPool.receive, []

    def receive_and_kill(pool: local.LocalPool, seconds: float) -> list[tuple[object, Message]]:
        messages = receive(pool, seconds)
        for worker, message in messages:
            if isinstance(message, Trained) and not killed:
                killed.append(message.records[0].run.seed)
                worker.process.kill()
                worker.process.join()
        return list(messages)

    monkeypatch.setattr(local.LocalPool, "receive", receive_and_kill)
    night = Night(tmp_path)
    assert night.run(run_all) == [OK] * 4
    assert len(killed) == 1
    assert len(night.lines) == 1


def test_fail_fast(tmp_path: Path) -> None:
    """At the first failed run what runs is ended, what is finished is kept, the rest left."""
    night = Night(tmp_path, {1: ("asleep",), 2: ("exit 3", "exit 3"), 3: ("asleep",)})
    with pytest.raises(Halted, match="Model4 nn seed 2 failed, and --fail-fast was given"):
        night.run(run_all, [*RUNS, made_up_run(4)], fail_fast=True)
    assert {seed: ended.status for seed, ended in night.ended.items()} == {0: OK, 2: FAILED}
    assert list(night.stored().index) == [0, 2]
    assert processes_below(os.getpid()) == set()


def test_interrupt_ends_the_workers(tmp_path: Path) -> None:
    """Ctrl-C ends the workers and leaves a store that can be read."""
    night = Night(tmp_path, dict.fromkeys((1, 2, 3), ("asleep",)))

    def watch(running: list[Run]) -> None:
        if len(running) == 2 and night.ended:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        night.run(run_all, watch=watch)
    assert processes_below(os.getpid()) == set()
    assert list(night.stored().index) == [0]


ORPHANING = """
import sys
from pathlib import Path
from bench.engines.local import run_all
from tests.nights import Night

if __name__ == "__main__":
    Night(Path(sys.argv[1]), {0: ("asleep",), 1: ("asleep",)}).run(run_all)
"""


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Where the parent is killed, and can end nothing, its workers end by themselves."""
    night = [sys.executable, "-c", ORPHANING, str(tmp_path)]
    with subprocess.Popen(night) as process:
        attempts = tmp_path / "attempts"
        wait_for(lambda: len(list(attempts.glob("seed-*"))) == 2)
        workers = processes_below(process.pid)
        process.kill()
    assert len(workers) == 2
    wait_for(lambda: are_gone(workers))
