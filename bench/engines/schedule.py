"""The loop that all engines share: it gives tasks to workers and their records to the ledger.

An exception in a training becomes part of the run's record, in ``bench.execution.runner``. A task
is lost if its worker dies, hangs or becomes unusable, for example by a CUDA error. It is tried once
more, in a new worker. If it is lost again, its runs get records of status ``failed`` with both
reasons.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.engines.clock import AwakeClock
from bench.engines.ledger import Attempt, Ledger, differences
from bench.engines.limits import Limit
from bench.engines.tasks import Task, tasks_of
from bench.engines.work import Display, Finished, Halted, Message, Ready, Trained
from bench.signals import held
from bench.store.records import Environment, Record, Run

ATTEMPTS = 2
FAILED_STARTS = 3
"""How many workers in a row, for each job, may end before they are ready."""
POLL_SECONDS = 0.2
ROUND_SECONDS = 5 * POLL_SECONDS
"""The most that a round counts for: a longer one was suspended, or waited for a disk."""


class Worker(Protocol):
    """A process that does one task at a time."""

    def start(self, task: Task) -> None:
        """Give it a task; it is ready, and has no task."""

    def stop(self) -> None:
        """End it at once, whatever it is doing; no message comes after that."""


class WorkerPool(Protocol):
    """An engine's workers."""

    waits_for_room: bool
    """Whether a new worker may have to wait for a free place, for any length of time."""

    def start_worker(self) -> Worker:
        """Start one more; its first message is ``Ready`` or ``Lost``."""

    def receive(self, seconds: float) -> Sequence[tuple[Worker, Message]]:
        """Return the workers' messages; wait for up to ``seconds`` if there are none."""


@dataclass
class Place:
    """What a worker is doing."""

    since: float
    """When it was started or got its task, on the schedule's clock."""
    ready: bool = False
    fit: bool = True
    fresh: bool = True
    """Whether it has had no task yet."""
    attempt: Attempt | None = None

    @property
    def idle(self) -> bool:
        """Whether it can be given a task."""
        return self.ready and self.fit and self.attempt is None


class Schedule:
    """The tasks of a night, given to the workers of ``pool``, ``jobs`` at a time."""

    def __init__(
        self,
        pool: WorkerPool,
        ledger: Ledger,
        *,
        jobs: int,
        display: Display,
        clock: AwakeClock | None = None,
    ) -> None:
        self.pool, self.ledger, self.jobs, self.display = pool, ledger, jobs, display
        self.clock = clock or AwakeClock(ROUND_SECONDS)
        self.new: deque[Task] = deque()
        self.lost: deque[Attempt] = deque()
        self.places: dict[Worker, Place] = {}
        self.failed_starts = 0
        """Workers that have ended before they were ready, since the last one that was ready."""
        self.unlike = ""
        """How the environment of the last worker that did not fit differs."""

    def carry_out(self, runs: Sequence[Run]) -> list[Finished]:
        """Have every run trained and its record stored; return how each ended.

        Raises Halted if the night cannot go on, or should not. All workers are ended, also after
        KeyboardInterrupt, which passes through.
        """
        self.new.extend(tasks_of(runs, self.jobs))
        try:
            while self.new or self.lost or self._attempts():
                self._staff()
                self._assign()
                self._show()
                messages = self.pool.receive(POLL_SECONDS)
                self.clock.tick()
                with held():  # so that a record that has come is stored
                    self._take(messages)
                    self._end_hung()
                if self.ledger.halt:
                    raise Halted(self.ledger.halt)
        finally:
            with held():
                for worker in self.places:
                    worker.stop()
        return self.ledger.ended

    def _attempts(self) -> list[Attempt]:
        return [place.attempt for place in self.places.values() if place.attempt]

    def _show(self, finished: Sequence[Finished] = ()) -> None:
        self.display.show([run for each in self._attempts() for run in each.task], finished)

    def _staff(self) -> None:
        """Start as many workers as there are tasks; workers that do not fit keep their places."""
        for worker, place in list(self.places.items()):
            if place.idle and not place.fresh and not self.new:
                del self.places[worker]
                worker.stop()
        work = len(self.new) + len(self.lost) + len(self._attempts())
        fit = sum(place.fit for place in self.places.values())
        unfit = len(self.places) - fit
        for _ in range(min(min(self.jobs, work) - fit, self.jobs - unfit)):
            with held():  # so that a worker that was started is also ended
                self.places[self.pool.start_worker()] = Place(self.clock.seconds)
            fit += 1
        if not fit:
            raise Halted(f"every worker has another environment: {self.unlike}")

    def _assign(self) -> None:
        """Give every idle worker a task; a fresh one gets a lost task first."""
        for worker, place in self.places.items():
            if not place.idle:
                continue
            if place.fresh and self.lost:
                before = self.lost.popleft()
                place.attempt = Attempt(before.task, before.losses)
            elif self.new:
                place.attempt = Attempt(self.new.popleft())
            else:
                continue
            place.fresh, place.since = False, self.clock.seconds
            worker.start(place.attempt.task)

    def _take(self, messages: Sequence[tuple[Worker, Message]]) -> None:
        done: list[tuple[Attempt, Sequence[Record]]] = []
        for worker, message in messages:
            place = self.places[worker]
            if isinstance(message, Ready):
                self._welcome(place, message.environment)
            elif isinstance(message, Trained):
                assert place.attempt is not None  # noqa: S101  # it had a task
                place.attempt.end(self.clock.seconds - place.since)
                done.append((place.attempt, message.records))
                place.attempt = None
            else:
                self._lose(worker, message.reason)
        self._assign()  # first, so that no worker waits for a disk
        for attempt, records in done:
            self._show([self.ledger.keep(record, attempt) for record in records])

    def _welcome(self, place: Place, environment: Environment) -> None:
        self.failed_starts = 0
        place.ready = True
        unlike = differences(environment, self.ledger.environment)
        if unlike:
            place.fit = False
            if unlike != self.unlike:
                self.display.say(f"a worker has another environment and gets no runs: {unlike}")
            self.unlike = unlike

    def _lose(self, worker: Worker, reason: str) -> None:
        """Forget a worker that has ended; retry its task, or record that its runs failed."""
        place = self.places.pop(worker)
        attempt = place.attempt
        if attempt is None:
            self.failed_starts += not place.ready
            if self.failed_starts >= FAILED_STARTS * self.jobs:
                self.ledger.halt = f"the workers do not start: {reason}"
            return
        attempt.end(self.clock.seconds - place.since)
        attempt.losses = (*attempt.losses, reason)
        if len(attempt.losses) < ATTEMPTS:
            self.display.say(f"{attempt.label}: {reason}; it is tried once more")
            self.lost.append(attempt)
        else:
            numbered = enumerate(attempt.losses, start=1)
            reasons = "; ".join(f"attempt {n}: {loss}" for n, loss in numbered)
            self._show([self.ledger.fail(run, attempt, reasons) for run in attempt.task])

    def _end_hung(self) -> None:
        limits = self.ledger.limits
        for worker, place in list(self.places.items()):
            if place.attempt:
                task = place.attempt.task
                limit = limits.of(task[0], len(task))
            elif not place.ready and not self.pool.waits_for_room:
                seconds = limits.start_seconds
                limit = Limit(seconds, f"not ready after {seconds:.0f} seconds")
            else:
                continue
            if self.clock.seconds - place.since > limit.seconds:
                worker.stop()
                self._lose(worker, f"hung: {limit.grounds}")
