"""What all engines share: what a worker does and says, and how a run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bench.engines.tasks import Task
from bench.store.records import Environment, Provenance, Record, Run


@dataclass(frozen=True)
class Finished:
    """How a run ended."""

    run: Run
    status: str
    error: str | None = None
    accuracy: float | None = None
    """Validation accuracy after the last epoch."""
    total_seconds: float = 0.0


Watcher = Callable[[Sequence[Run], Sequence[Finished]], None]
"""Called with the runs that are being trained, and with those that have just finished."""


class Halted(Exception):  # noqa: N818  # not an error of the code: a night that cannot go on
    """Runs are left that have not been trained; the message says why. Finished runs are stored."""


@dataclass(frozen=True)
class Site:
    """What an engine finds where it trains, before anything is trained."""

    device: str
    """``cpu`` or ``cuda``."""
    environment: Environment
    """That of its workers, for runs that are trained one at a time."""
    jobs: int
    """How many tasks to do at a time by default."""


@dataclass(frozen=True)
class Trainer:
    """What a worker executes; it is sent to the worker when that starts."""

    provenance: Provenance | None = None
    """The same for all runs of a night; None if each run is to read it."""

    def moved(self, device: str) -> Self:
        """Return the trainer for this machine, where it was made on another."""
        from bench.execution.environment import machine_facts

        if self.provenance is None:
            return self
        return replace(self, provenance=replace(self.provenance, **machine_facts(device)))

    def read_environment(self, device: str, injected_fault: str | None) -> Environment:
        """Return the environment of runs that are trained here one at a time."""
        from bench.execution.environment import (  # loads torch and fastai, in the worker only
            read_environment,
            reproducible_settings,
            threads_of,
        )

        with reproducible_settings(threads_of(injected_fault)):
            return read_environment(device, injected_fault)

    def carry_out(self, task: Task) -> tuple[Record, ...]:
        """Train a task's runs. An exception means that this process cannot be used any more."""
        from bench.execution.runner import execute_many

        return tuple(execute_many(task, self.provenance))


@dataclass(frozen=True)
class Ready:
    """A worker's first message: it is ready for tasks, in this environment."""

    environment: Environment


@dataclass(frozen=True)
class Lost:
    """The end of a worker, and the reason, as it or its engine reports it."""

    reason: str


def describe(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@dataclass(frozen=True)
class Trained:
    """The end of a task, with a record of each of its runs."""

    records: tuple[Record, ...]


Message = Ready | Trained | Lost
"""What a worker says."""
