"""What becomes of runs whose workers fail, of nights that cannot go on, and of a disk that is full.

The workers do their tasks in this process; ``test_local_engine.py`` has real ones.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from bench.engines import local
from bench.engines.limits import Limits
from bench.engines.local import run_all
from bench.engines.work import Halted
from bench.signals import Terminated, terminable
from bench.store import store as store_module
from bench.store.records import FAILED, OK, Record, run_id
from bench.store.store import Store
from tests.in_process import InProcessPool, InProcessWorker
from tests.nights import RUNS, Night
from tests.trainers import ENVIRONMENT, OTHER_ENVIRONMENT, NeverReady

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

BROKEN = "RuntimeError: CUDA error: an illegal memory access was encountered"


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> list[InProcessWorker]:
    """The workers of a night, in the order in which they were started."""
    started: list[InProcessWorker] = []
    start_worker = InProcessPool.start_worker

    def start_and_keep(pool: InProcessPool) -> InProcessWorker:
        started.append(start_worker(pool))
        return started[-1]

    monkeypatch.setattr(InProcessPool, "start_worker", start_and_keep)
    monkeypatch.setattr(local, "LocalPool", InProcessPool)
    return started


def seeds_by_worker(workers: list[InProcessWorker]) -> list[list[int]]:
    """Return the seeds that each worker was given."""
    return [[run.seed for task in worker.tasks for run in task] for worker in workers]


def test_workers_are_used_again(tmp_path: Path, workers: list[InProcessWorker]) -> None:
    """Every run is seen running and done once, by as many workers as there are jobs."""
    night = Night(tmp_path)
    assert night.run(run_all) == [OK] * 4
    assert {run.seed for running, _ in night.shown for run in running} == {0, 1, 2, 3}
    assert max(len(running) for running, _ in night.shown) == 2
    assert seeds_by_worker(workers) == [[0, 2], [1, 3]]
    assert night.lines == []


def test_a_lost_run_gets_a_fresh_worker(tmp_path: Path, workers: list[InProcessWorker]) -> None:
    """A run whose worker breaks, the last one too, is done again by one that has done nothing."""
    night = Night(tmp_path, {1: ("broken",), 3: ("broken",)})
    assert night.run(run_all) == [OK] * 4
    assert night.lines == [
        f"Model4 nn seed {seed}: {BROKEN}; it is tried once more" for seed in (1, 3)
    ]
    for seed in (1, 3):
        first, second = (seeds for seeds in seeds_by_worker(workers) if seed in seeds)
        assert (first[-1], second[0]) == (seed, seed)
    assert list(night.stored()["status"]) == [OK] * 4


def test_lost_twice(tmp_path: Path) -> None:
    """A run whose worker breaks again is recorded as failed, with what happened each time."""
    night, limits = Night(tmp_path, {1: ("broken", "broken")}), Limits()
    assert night.run(run_all, limits=limits) == [OK, FAILED, OK, OK]
    assert "the slowest of its 3 peers" in limits.of(RUNS[1]).grounds
    stored = night.stored()
    assert list(stored["status"]) == [OK, FAILED, OK, OK]
    error = stored.loc[1, "error"]
    assert error == night.ended[1].error == f"attempt 1: {BROKEN}; attempt 2: {BROKEN}"
    failed = run_id(RUNS[1], ENVIRONMENT)
    assert stored.loc[1, "run_id"] == failed
    assert night.store.finished(stored["run_id"]) == set(stored["run_id"]) - {failed}


def test_every_worker_breaks(tmp_path: Path) -> None:
    """A night in which every worker breaks at every run ends, with every run recorded as failed."""
    night = Night(tmp_path, dict.fromkeys(range(4), ("broken", "broken")))
    assert night.run(run_all) == [FAILED] * 4
    assert list(night.stored()["status"]) == [FAILED] * 4


def test_workers_that_do_not_start(tmp_path: Path) -> None:
    """Where no worker comes to be ready, the night is ended, and says why."""
    night = Night(tmp_path, trainer=NeverReady)
    with pytest.raises(Halted, match=r"do not start: ImportError: libcudart.so.13: cannot open"):
        night.run(run_all)
    assert night.stored().empty


def test_without_fail_fast(tmp_path: Path) -> None:
    """Where it is not asked for, a failed run ends nothing but itself."""
    night = Night(tmp_path, {0: ("broken", "broken")})
    assert night.run(run_all) == [FAILED, OK, OK, OK]


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


def test_unlike_worker_is_given_nothing(tmp_path: Path, workers: list[InProcessWorker]) -> None:
    """A worker whose environment is not the plan's is named, and trains nothing."""
    environments = (ENVIRONMENT, OTHER_ENVIRONMENT)
    night = Night(tmp_path, environments=environments)
    assert night.run(run_all) == [OK] * 4
    (line,) = night.lines
    assert line == (
        "a worker has another environment and gets no runs: "
        "torch_version is 2.12.0, the plan needs 2.13.0"
    )
    assert [seeds for seeds in seeds_by_worker(workers) if seeds] == [[0, 1, 2, 3]]


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
