"""What all engines share: what a worker does and reports, how a run ended, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
    """The validation accuracy after the last epoch."""
    total_seconds: float = 0.0


class Halted(Exception):  # noqa: N818  # not an error of the code: a night that cannot go on
    """The night has ended early, for the reason in the message; finished runs are stored."""


@dataclass(frozen=True)
class Site:
    """Where an engine trains."""

    device: str
    environment: Environment
    """The environment of its workers, for runs that are trained one at a time."""
    jobs: int
    """The default number of tasks at a time."""


class Display:
    """The interface through which a night is shown. This class shows nothing."""

    def begin(
        self, planned: Sequence[Run], missing: Sequence[Run], site: Site, folder: Path
    ) -> None:
        """Show how much there is to do, and where."""

    def show(self, running: Sequence[Run], finished: Sequence[Finished]) -> None:
        """Show which runs are being trained, and how others have just ended."""

    def say(self, line: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class Trainer:
    """What a worker executes; it is sent to the worker at its start."""

    provenance: Provenance | None = None
    """The same for all runs of a night; None if each run is to read it."""
    gpu_share: float = 1.0
    """How much of a GPU's memory is for this worker; others have the rest."""

    def moved(self, device: str) -> Self:
        """Return the trainer with the provenance of this machine."""
        from bench.execution.environment import machine_facts

        if self.provenance is None:
            return self
        return replace(self, provenance=replace(self.provenance, **machine_facts(device)))

    def read_environment(self, device: str, injected_fault: str | None) -> Environment:
        """Return the environment of runs that are trained here one at a time.

        From now on this process holds no more than its share of a GPU's memory.
        """
        from bench.execution import environment  # loads torch and fastai, in the worker only

        if device == "cuda" and self.gpu_share < 1:
            environment.take_share(self.gpu_share)
        with environment.reproducible_settings(environment.threads_of(injected_fault)):
            return environment.read_environment(device, injected_fault)

    def carry_out(self, task: Task) -> tuple[Record, ...]:
        """Train a task's runs. An exception means that this process has become unusable."""
        from bench.execution.runner import execute_many

        return tuple(execute_many(task, self.provenance))


@dataclass(frozen=True)
class Ready:
    """A worker's first message: it is ready for tasks, in this environment."""

    environment: Environment


@dataclass(frozen=True)
class Trained:
    """The end of a task, with a record of each of its runs."""

    records: tuple[Record, ...]


@dataclass(frozen=True)
class Lost:
    """The end of a worker, with the reason as it or its engine reports it."""

    reason: str


Message = Ready | Trained | Lost


def describe(error: BaseException) -> str:
    """Return an exception's type and the first line of its message."""
    return f"{type(error).__name__}: {error}".partition("\n")[0].removesuffix(": ")
