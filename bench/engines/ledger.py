"""The ledger of a night: the record of each run that has ended is stored and counted."""

from __future__ import annotations

import errno
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from bench.engines.limits import Limits
from bench.engines.tasks import Task
from bench.engines.work import Finished
from bench.errors import StoreError
from bench.execution.sources import environment_of
from bench.store.records import (
    DIVERGED,
    FAILED,
    SKIPPED,
    Environment,
    Outcome,
    Provenance,
    Record,
    Run,
    run_id,
)
from bench.store.store import Store
from bench.text import counted


@dataclass
class Attempt:
    """A worker's attempt at a task."""

    task: Task
    losses: tuple[str, ...] = ()
    """Why earlier attempts were lost."""
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    start: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    """The share of each run, once the attempt has ended."""
    awake_seconds: float = 0.0
    """The same without the time in which the machine was paused."""

    def end(self, awake_seconds: float) -> None:
        """Take the time; ``awake_seconds`` are those of the whole task."""
        self.seconds = (time.monotonic() - self.start) / len(self.task)
        self.awake_seconds = awake_seconds / len(self.task)

    @property
    def label(self) -> str:
        """The task in a few words, for people."""
        first, *others = self.task
        return f"{first.label} and {counted(len(others), 'more seed')}" if others else first.label


@dataclass
class Ledger:
    """The runs of a night that have ended, and the store for their records."""

    store: Store
    environment: Environment
    """The plan's, for runs that are trained one at a time; see ``environment_of``."""
    provenance: Provenance
    fail_fast: bool = False
    limits: Limits = field(default_factory=Limits)
    ended: list[Finished] = field(default_factory=list)
    halt: str | None = None

    def keep(self, record: Record, attempt: Attempt) -> Finished:
        """Store a record, or one that says why it could not be stored; return how the run ended."""
        run = record.run
        unlike = differences(record.environment, environment_of(run, self.environment))
        if unlike:
            record = self._failed(run, attempt, f"it was trained in another environment: {unlike}")
        reason = self._store(record)
        if reason:
            record = self._failed(run, attempt, f"its record could not be stored: {reason}")
            reason = self._store(record)
            if reason:
                self.halt = f"nothing more can be stored in {self.store.folder}: {reason}"
        outcome, error = record.outcome, record.outcome.error
        if outcome.status not in (FAILED, SKIPPED):
            self.limits.learn(run, attempt.awake_seconds)
        if outcome.status == DIVERGED:
            error = "its loss is not a finite number"
        accuracy = record.epochs[-1].accuracy if record.epochs else None
        finished = Finished(run, outcome.status, error, accuracy, attempt.seconds)
        self.ended.append(finished)
        if outcome.status == FAILED and self.fail_fast and not self.halt:
            self.halt = f"{run.label} failed, and --fail-fast was given"
        return finished

    def fail(self, run: Run, attempt: Attempt, error: str) -> Finished:
        """Store a failed record of a run that no worker has finished."""
        return self.keep(self._failed(run, attempt, error), attempt)

    def _store(self, record: Record) -> str | None:
        try:
            self.store.write(record)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return f"the disk is full ({error.strerror})" if full else str(error)
        except StoreError as error:
            return str(error)
        return None

    def _failed(self, run: Run, attempt: Attempt, error: str) -> Record:
        outcome = Outcome(
            status=FAILED,
            kernel="unknown",
            started_at=attempt.started_at,
            ended_at=datetime.now(UTC),
            total_seconds=attempt.seconds,
            error=error,
        )
        environment = environment_of(run, self.environment)
        return Record(run_id(run, environment), run, environment, self.provenance, outcome, ())


def differences(found: Environment, planned: Environment) -> str:
    """Return in one line how two environments differ, or an empty text."""
    values = asdict(planned)
    return ", ".join(
        f"{name} is {value}, the plan needs {values[name]}"
        for name, value in asdict(found).items()
        if value != values[name]
    )
