"""Runs in worker processes of this machine, and what can go wrong with them."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
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
from bench.signals import Terminated, terminable
from bench.store import store as store_module
from bench.store.records import FAILED, OK, Record, Run, run_id
from bench.store.store import Store
from tests.conftest import small_run
from tests.nights import RUNS, Night, are_gone, processes_below, wait_for
from tests.trainers import (
    ENVIRONMENT,
    OTHER_ENVIRONMENT,
    NeverReady,
    NeverStarted,
    made_up_run,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

KILLED = "its worker was killed by SIGKILL, as the system does when memory runs out"


def test_real_runs_are_stored(tmp_path: Path) -> None:
    """Real trainings are stored under the ids that were planned, and reported with their end."""
    runs = [small_run("Model4", seed) for seed in range(2)]
    with reproducible_settings():
        environment = read_environment("cpu")
    store, provenance = Store(tmp_path), read_provenance("cpu")
    store.prepare()
    ended = run_all(
        runs,
        Trainer(provenance),
        Ledger(store, environment, provenance),
        jobs=2,
        display=Display(),
    )
    assert [result.status for result in ended] == [OK] * 2
    assert all(0 < (result.accuracy or 0) < 1 for result in ended)
    stored = Store(tmp_path).read().runs
    assert set(stored["run_id"]) == {run_id(run, environment) for run in runs}


def test_workers_are_used_again(tmp_path: Path) -> None:
    """Every run is seen running and done once, by as many workers as there are jobs."""
    night = Night(tmp_path, dict.fromkeys(range(4), ("slow",)))
    assert night.run(run_all) == [OK] * 4
    assert {run.seed for running, _ in night.shown for run in running} == {0, 1, 2, 3}
    assert max(len(running) for running, _ in night.shown) == 2
    assert len({pid for seed in range(4) for pid in night.trainer.processes(seed)}) == 2
    assert night.lines == []
    assert processes_below(os.getpid()) == set()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("killed", KILLED),
        ("crashed", "its worker was killed by SIGSEGV"),
        ("exit 3", "its worker ended with exit code 3"),
        ("exit 0", "its worker ended with exit code 0"),
        ("broken", "RuntimeError: CUDA error: an illegal memory access was encountered"),
    ],
)
def test_lost_once(tmp_path: Path, fault: str, reason: str) -> None:
    """A run whose worker dies is done again by a fresh one, and costs no other run anything."""
    night = Night(tmp_path, {0: ("slow",), 2: (fault,)})
    assert night.run(run_all) == [OK] * 4
    assert night.lines == [f"Model4 nn seed 2: {reason}; it is tried once more"]
    attempts = [night.trainer.processes(seed) for seed in range(4)]
    assert [len(processes) for processes in attempts] == [1, 1, 2, 1]
    assert attempts[2][1] not in {attempts[0][0], attempts[1][0], attempts[2][0]}
    assert list(night.stored()["status"]) == [OK] * 4


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("killed", KILLED), ("broken", "RuntimeError: CUDA error: an illegal memory access")],
)
def test_lost_twice(tmp_path: Path, fault: str, reason: str) -> None:
    """A run whose worker dies again is recorded as failed, with what happened each time."""
    night, limits = Night(tmp_path, {1: (fault, "exit 3")}), Limits()
    assert night.run(run_all, limits=limits) == [OK, FAILED, OK, OK]
    assert "the slowest of its 3 peers" in limits.of(RUNS[1]).grounds
    assert len(night.trainer.processes(1)) == 2
    stored = night.stored()
    assert list(stored["status"]) == [OK, FAILED, OK, OK]
    error = stored.loc[1, "error"]
    assert error == night.ended[1].error
    assert error.startswith(f"attempt 1: {reason}")
    assert error.endswith("; attempt 2: its worker ended with exit code 3")
    failed = run_id(RUNS[1], ENVIRONMENT)
    assert stored.loc[1, "run_id"] == failed
    assert night.store.finished(stored["run_id"]) == set(stored["run_id"]) - {failed}


def test_every_worker_dies(tmp_path: Path) -> None:
    """A night in which every worker dies at every run ends, with every run recorded as failed."""
    night = Night(tmp_path, dict.fromkeys(range(4), ("killed", "killed")))
    assert night.run(run_all) == [FAILED] * 4
    assert list(night.stored()["status"]) == [FAILED] * 4


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


def test_workers_that_do_not_start(tmp_path: Path) -> None:
    """Where no worker comes to be ready, the night is ended, and says why."""
    night = Night(tmp_path, trainer=NeverReady)
    with pytest.raises(Halted, match=r"do not start: ImportError: libcudart.so.13: cannot open"):
        night.run(run_all)
    assert night.stored().empty
    assert processes_below(os.getpid()) == set()


def test_workers_that_hang_while_they_start(tmp_path: Path) -> None:
    """A worker that does not come to be ready is ended, and a night without any says why."""
    night = Night(tmp_path, trainer=NeverStarted)
    with pytest.raises(Halted, match="do not start: hung: not ready after 0 seconds"):
        night.run(run_all, jobs=1, limits=Limits(start_seconds=0.1))
    assert processes_below(os.getpid()) == set()


@pytest.mark.parametrize("fault", ["asleep", "stopped"])
def test_hung(tmp_path: Path, fault: str) -> None:
    """A run without an end is ended, tried once more and recorded as failed; others go on."""
    night = Night(tmp_path, {1: (fault,), 3: (fault, fault)})
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


def test_slow_is_not_hung(tmp_path: Path) -> None:
    """A run that takes many times as long as its peers, and less than the limit, is left alone."""
    night = Night(tmp_path, {3: ("slow",)})
    assert night.run(run_all, limits=Limits(floor_seconds=0.01, of_peers=1e4)) == [OK] * 4
    assert night.lines == []


def test_fail_fast(tmp_path: Path) -> None:
    """At the first failed run what runs is ended, what is finished is kept, the rest left."""
    night = Night(tmp_path, {1: ("asleep",), 2: ("exit 3", "exit 3"), 3: ("asleep",)})
    with pytest.raises(Halted, match="Model4 nn seed 2 failed, and --fail-fast was given"):
        night.run(run_all, [*RUNS, made_up_run(4)], fail_fast=True)
    assert {seed: ended.status for seed, ended in night.ended.items()} == {0: OK, 2: FAILED}
    assert list(night.stored().index) == [0, 2]
    assert processes_below(os.getpid()) == set()


def test_without_fail_fast(tmp_path: Path) -> None:
    """Where it is not asked for, a failed run ends nothing but itself."""
    night = Night(tmp_path, {0: ("exit 3", "exit 3")})
    assert night.run(run_all) == [FAILED, OK, OK, OK]


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


def test_interrupt_waits_for_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes while a record is written leaves the record whole."""
    write, night = Store.write, Night(tmp_path)

    def write_with_a_signal(store: Store, record: Record) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        write(store, record)

    monkeypatch.setattr(Store, "write", write_with_a_signal)
    with pytest.raises(Terminated), terminable():
        night.run(run_all)
    assert len(night.stored()) >= 1
    assert set(night.stored().index) == set(night.ended)


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be stored any more the night is ended; what was stored stays."""
    night = Night(tmp_path)
    write_file, written = store_module.write_file, []

    def write_until_full(path: Path, rows: object) -> None:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        write_file(path, rows)

    monkeypatch.setattr(store_module, "write_file", write_until_full)
    why = r"nothing more can be stored in .*: the disk is full \(No space left on device\)"
    with pytest.raises(Halted, match=why):
        night.run(run_all, jobs=1)
    assert {seed: ended.status for seed, ended in night.ended.items()} == {0: OK, 1: FAILED}
    assert night.ended[1].error == (
        "its record could not be stored: the disk is full (No space left on device)"
    )
    assert list(night.stored().index) == [0]


def test_file_that_the_system_refuses(tmp_path: Path) -> None:
    """An error of the system itself in the middle of a file ends the night and leaves no half."""
    night = Night(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(Halted, match=r"nothing more can be stored in .*File too large"):
            night.run(run_all)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert [path for path in night.store.folder.rglob("*") if path.is_file()] == []


def test_disk_that_was_full_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose record cannot be stored is recorded as failed, and the night goes on."""
    write, refused = Store.write, []

    def refuse_once(store: Store, record: Record) -> None:
        if record.run.seed == 1 and not refused:
            refused.append(record)
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        write(store, record)

    monkeypatch.setattr(Store, "write", refuse_once)
    night = Night(tmp_path)
    assert night.run(run_all) == [OK, FAILED, OK, OK]
    assert "could not be stored: the disk is full" in night.stored().loc[1, "error"]


def test_unlike_worker_is_given_nothing(tmp_path: Path) -> None:
    """A worker whose environment is not the plan's is named, and trains nothing."""
    environments = (ENVIRONMENT, OTHER_ENVIRONMENT)
    night = Night(tmp_path, {0: ("slow",), 1: ("slow",)}, environments=environments)
    assert night.run(run_all) == [OK] * 4
    (line,) = night.lines
    assert line == (
        "a worker has another environment and gets no runs: "
        "torch_version is 2.12.0, the plan needs 2.13.0"
    )
    assert len({pid for seed in range(4) for pid in night.trainer.processes(seed)}) == 1


def test_no_worker_is_like_the_plan(tmp_path: Path) -> None:
    """Where no worker has the plan's environment, the night is ended, and says what is unlike."""
    night = Night(tmp_path, environments=(OTHER_ENVIRONMENT,))
    with pytest.raises(
        Halted, match=r"every worker has another environment: torch_version is 2\.12\.0"
    ):
        night.run(run_all)
    assert night.stored().empty


def test_record_of_another_environment(tmp_path: Path) -> None:
    """A record that was not made as planned is not stored as the planned run, nor as another."""
    night = Night(tmp_path, trained_in=OTHER_ENVIRONMENT)
    assert night.run(run_all) == [FAILED] * 4
    stored = night.stored()
    assert set(stored["run_id"]) == {run_id(run, ENVIRONMENT) for run in RUNS}
    unlike = "torch_version is 2.12.0, the plan needs 2.13.0"
    assert set(stored["error"]) == {f"it was trained in another environment: {unlike}"}
