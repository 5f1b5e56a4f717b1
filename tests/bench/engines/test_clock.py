"""Time in which everything stood still is no run's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.engines.clock import AwakeClock
from bench.engines.ledger import Ledger
from bench.engines.limits import Limits
from bench.engines.schedule import POLL_SECONDS, ROUND_SECONDS, Schedule
from bench.engines.tasks import Task
from bench.engines.work import Message, Ready, Trained
from bench.store.records import FAILED, OK
from bench.store.store import Store
from tests.nights import Lines
from tests.trainers import ENVIRONMENT, PROVENANCE, made_up_run, record_of

LIMIT_SECONDS = 600.0
NIGHT = 8 * 3600.0


class MadeUpWorker:
    """Is ready at once, and at the end of a task after so many rounds; None is never."""

    def __init__(self, rounds: int | None) -> None:
        self.rounds, self.task, self.welcomed, self.stopped = rounds, (), False, False

    def start(self, task: Task) -> None:
        """Begin."""
        self.task = task

    def stop(self) -> None:
        """Be ended."""
        self.stopped = True

    def says(self) -> list[Message]:
        """Go on by a round."""
        if not self.welcomed:
            self.welcomed = True
            return [Ready(ENVIRONMENT)]
        if self.rounds is not None:
            self.rounds -= 1
            if self.rounds == 0:
                return [Trained(tuple(record_of(run) for run in self.task))]
        return []


class MadeUpPool:
    """Workers on a made-up clock, which each round moves on by the next of ``rounds``."""

    waits_for_room = False

    def __init__(self, workers: Sequence[MadeUpWorker], pauses: dict[int, float]) -> None:
        self.coming, self.pauses = list(workers), pauses
        self.started: list[MadeUpWorker] = []
        self.round, self.seconds = 0, 0.0

    def start_worker(self) -> MadeUpWorker:
        """Take the next."""
        self.started.append(self.coming.pop(0))
        return self.started[-1]

    def receive(self, seconds: float) -> list[tuple[MadeUpWorker, Message]]:
        """Let the clock go on."""
        self.round += 1
        self.seconds += seconds + self.pauses.get(self.round, 0.0)
        working = [worker for worker in self.started if not worker.stopped]
        return [(worker, message) for worker in working for message in worker.says()]


def carried_out(
    tmp_path: Path, pool: MadeUpPool, limits: Limits | None = None
) -> tuple[list[str], list[str], Ledger]:
    """Return how a run ended in the pool's hands, what was said, and the ledger."""
    store = Store(tmp_path)
    store.prepare()
    limits = limits or Limits(floor_seconds=LIMIT_SECONDS, of_nothing=0.0)
    ledger = Ledger(store, ENVIRONMENT, PROVENANCE, limits=limits)
    display = Lines()
    schedule = Schedule(
        pool,
        ledger,
        jobs=1,
        display=display,
        clock=AwakeClock(ROUND_SECONDS, lambda: pool.seconds),
    )
    ended = schedule.carry_out([made_up_run(0)])
    return [finished.status for finished in ended], display.lines, ledger


def test_clock() -> None:
    """A round counts for what it took, and for no more than it may."""
    times = iter([100.0, 100.5, 101.5, 5000.0, 5000.25])
    clock = AwakeClock(2.0, lambda: next(times))
    counted = []
    for _ in range(4):
        clock.tick()
        counted.append(clock.seconds)
    assert counted == [0.5, 1.5, 3.5, 3.75]


def test_a_suspended_machine_hangs_no_run(tmp_path: Path) -> None:
    """A night's pause, while a worker starts and while it trains, is no hang, and not learnt."""
    pool = MadeUpPool([MadeUpWorker(10)], {1: NIGHT, 5: NIGHT, 6: NIGHT})
    statuses, lines, ledger = carried_out(tmp_path, pool)
    assert (statuses, lines) == ([OK], [])
    assert pool.seconds > 3 * NIGHT
    peer = made_up_run(1)
    assert ledger.limits.of(peer).seconds == LIMIT_SECONDS


def test_a_worker_that_stands_still_alone_is_hung(tmp_path: Path) -> None:
    """A worker that comes to no end is found after the limit, though the machine paused before."""
    pool = MadeUpPool([MadeUpWorker(None), MadeUpWorker(None)], {3: NIGHT})
    statuses, lines, _ = carried_out(tmp_path, pool)
    assert statuses == [FAILED]
    assert lines[0].startswith("Model4 nn seed 0: hung: no result after 600 seconds")
    assert pool.round * POLL_SECONDS < 2 * LIMIT_SECONDS + 2


def test_a_disk_that_does_not_answer_hangs_no_run(tmp_path: Path) -> None:
    """A loop whose every round takes a minute is not a run that takes hours."""
    pool = MadeUpPool([MadeUpWorker(100)], dict.fromkeys(range(200), 60.0))
    statuses, lines, _ = carried_out(tmp_path, pool)
    assert (statuses, lines) == ([OK], [])
