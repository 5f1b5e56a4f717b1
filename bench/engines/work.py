"""What all engines share: what a worker does and says, and what is said of a run that has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from bench.store.records import ENSEMBLE, LEARNER, Environment, Provenance, Record, Run

Task = tuple[Run, ...]
"""Runs that a worker is given together: one, or those of an ensemble."""


@dataclass(frozen=True)
class Finished:
    """How a run ended that is stored, or could not be."""

    run: Run
    status: str
    error: str | None = None
    accuracy: float | None = None
    """Validation accuracy after the last epoch."""
    total_seconds: float = 0.0


Watcher = Callable[[Sequence[Run], Sequence[Finished]], None]
"""Called with the runs that are being trained, and with those that have just finished."""


class Halted(Exception):  # noqa: N818  # not an error of the code: a night that cannot go on
    """The night has ended before its runs have; ``ended`` is what became of those that have."""

    def __init__(self, reason: str, ended: Sequence[Finished]) -> None:
        super().__init__(reason)
        self.ended = list(ended)


@dataclass(frozen=True)
class Site:
    """Where an engine trains: what it finds there before there is a plan."""

    device: str
    """``cpu`` or ``cuda``."""
    environment: Environment
    """That of its workers."""
    jobs: int
    """How many runs to train at a time where nothing else is asked for."""


@dataclass(frozen=True)
class Trainer:
    """What a worker executes; sent to it when it starts."""

    provenance: Provenance | None = None
    """The same for all runs of a night; None: each run reads it."""
    engine: str = LEARNER
    """By which code the runs are trained, as their records say."""

    def moved(self, device: str) -> Self:
        """Return the trainer as it is on this machine, which is not the one that it was made on."""
        from bench.execution.environment import machine_facts

        if self.provenance is None:
            return self
        return replace(self, provenance=replace(self.provenance, **machine_facts(device)))

    def read_environment(self, device: str, injected_fault: str | None) -> Environment:
        """Return the environment that this process gives to runs on ``device``."""
        from bench.execution.environment import (  # loads torch and fastai, in the worker only
            read_environment,
            reproducible_settings,
            threads_of,
        )

        with reproducible_settings(threads_of(injected_fault)):
            return read_environment(device, injected_fault, self.engine)

    def carry_out(self, task: Task) -> tuple[Record, ...]:
        """Train a task's runs. What is raised means that the process is good for nothing more."""
        if self.engine == ENSEMBLE:
            from bench.execution.runner import execute_many

            return tuple(execute_many(task, self.provenance))
        return tuple(self.train(run) for run in task)

    def train(self, run: Run) -> Record:
        """Train one run in this process."""
        from bench.execution.runner import execute

        return execute(run, self.provenance)


@dataclass(frozen=True)
class Ready:
    """A worker's first word: it can be given runs, in this environment."""

    environment: Environment


@dataclass(frozen=True)
class Lost:
    """A worker's end, as it or its engine reports it: it will do nothing more."""

    reason: str


def describe(error: BaseException) -> str:
    """Return an exception's kind and the first line of what it says."""
    first, *_ = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


@dataclass(frozen=True)
class Trained:
    """The end of a task: a record of each of its runs."""

    records: tuple[Record, ...]


Message = Ready | Trained | Lost
"""What is heard of a worker."""
