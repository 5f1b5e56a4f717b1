"""What becomes of a run that has ended: its record is stored, and what is said of it.

A record of another environment than the plan's is not the planned run, and is not taken for it.
"""

from __future__ import annotations

import errno
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from bench.engines.limits import Limits
from bench.engines.work import Finished, Task
from bench.errors import StoreError
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


@dataclass
class Attempt:
    """A task that a worker is at, and why it was lost before."""

    task: Task
    losses: tuple[str, ...] = ()
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    start: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    """What it took for each of its runs, once it has ended."""
    awake_seconds: float = 0.0
    """Likewise, without the time in which everything stood still."""

    def end(self, awake_seconds: float) -> None:
        """Take the time; ``awake_seconds`` is that of the whole task."""
        self.seconds = (time.monotonic() - self.start) / len(self.task)
        self.awake_seconds = awake_seconds / len(self.task)

    @property
    def label(self) -> str:
        """The task in a few words, for people."""
        first, *others = self.task
        return f"{first.label} and {len(others)} more seeds" if others else first.label


@dataclass
class Ledger:
    """What has become of a night's runs."""

    store: Store
    environment: Environment
    """That of the plan: every run's id is made with it."""
    provenance: Provenance
    fail_fast: bool = False
    limits: Limits = field(default_factory=Limits)
    ended: list[Finished] = field(default_factory=list)
    halt: str | None = None
    """Why nothing more should be done."""

    def keep(self, record: Record, attempt: Attempt) -> Finished:
        """Store a record, or the record of why it cannot be; return how the run has ended."""
        run = record.run
        if record.run_id != run_id(run, self.environment):
            unlike = differences(record.environment, self.environment)
            record = self._failed(run, attempt, f"it was trained in another environment: {unlike}")
        reason = self._store(record)
        if reason:
            record = self._failed(run, attempt, f"its record could not be stored: {reason}")
            still = self._store(record)
            if still:
                self.halt = f"nothing can be stored in {self.store.folder} any more: {still}"
        return self._close(attempt, record)

    def fail(self, run: Run, attempt: Attempt, error: str) -> Finished:
        """Store the record of a run that no worker has made one of."""
        return self.keep(self._failed(run, attempt, error), attempt)

    def _store(self, record: Record) -> str | None:
        """Store a record; return why it cannot be."""
        try:
            self.store.write(record)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return f"the disk is full ({error.strerror})" if full else str(error)
        except StoreError as error:
            return str(error)
        return None

    def _close(self, attempt: Attempt, record: Record) -> Finished:
        """Take note of how a run has ended."""
        run, status, error = record.run, record.outcome.status, record.outcome.error
        if status not in (FAILED, SKIPPED):
            self.limits.learn(run, attempt.awake_seconds)
        if status == DIVERGED:
            error = "its loss is no finite number"
        accuracy = record.epochs[-1].accuracy if record.epochs else None
        finished = Finished(run, status, error, accuracy, attempt.seconds)
        self.ended.append(finished)
        if status == FAILED and self.fail_fast and not self.halt:
            self.halt = f"--fail-fast, and {run.label} failed"
        return finished

    def _failed(self, run: Run, attempt: Attempt, error: str) -> Record:
        outcome = Outcome(
            status=FAILED,
            kernel="unknown",
            started_at=attempt.started_at,
            ended_at=datetime.now(UTC),
            total_seconds=attempt.seconds,
            error=error,
        )
        identity = run_id(run, self.environment)
        return Record(identity, run, self.environment, self.provenance, outcome, ())


def differences(found: Environment, planned: Environment) -> str:
    """Return in a line what is unlike in two environments; nothing where nothing is."""
    values = asdict(planned)
    return ", ".join(
        f"{name} is {value}, where {values[name]} is planned for"
        for name, value in asdict(found).items()
        if value != values[name]
    )
