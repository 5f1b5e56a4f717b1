"""Trainers that go wrong as they are told, in real processes; no torch is loaded."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.engines.tasks import Task
from bench.engines.work import Trainer
from bench.execution.sources import environment_of
from bench.store.records import (
    OK,
    Environment,
    Epoch,
    Outcome,
    Provenance,
    Record,
    Run,
    run_id,
)

ENVIRONMENT = Environment(
    device_name="a processor",
    torch_version="2.13.0",
    fastai_version="2.8.12",
    cuda_version=None,
    cudnn_version=None,
    threads=1,
    deterministic_algorithms=True,
    tf32=False,
    data_sha256="d" * 64,
    source_sha256="s" * 64,
    instruction_set="AVX2",
    numeric_fingerprint="f" * 16,
)
OTHER_ENVIRONMENT = Environment(**(vars(ENVIRONMENT) | {"torch_version": "2.12.0"}))
PROVENANCE = Provenance("0.1.0", "c" * 40, False, "3.11.7", "Linux", None)  # noqa: FBT003


def made_up_run(seed: int = 0, variant: str = "Model4", backend: str = "nn") -> Run:
    """Return a run of one epoch."""
    return Run(variant, backend, seed, "float32", "ones", "cpu", 1)


def record_of(run: Run, environment: Environment = ENVIRONMENT) -> Record:
    """Return a record with one epoch of made-up numbers."""
    environment = environment_of(run, environment)
    identity, now = run_id(run, environment), datetime.now(UTC)
    epoch = Epoch(identity, run.variant, run.backend, run.seed, 0, 1.5, 1.25, 0.5, 0.1, 0.1)
    outcome = Outcome(OK, "ATen", now, now, 0.2, weights_sha256=str(run.seed))
    return Record(identity, run, environment, PROVENANCE, outcome, (epoch,))


def killed() -> None:
    """Die as by the system's hand when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def crashed() -> None:
    """Die as by an address that is not there."""
    os.kill(os.getpid(), signal.SIGSEGV)


def stopped() -> None:
    """Come to a halt, and take no signal but SIGKILL."""
    os.kill(os.getpid(), signal.SIGSTOP)


def asleep() -> None:
    """Come to no end."""
    time.sleep(3600)


def broken() -> None:
    """Be left by an error that ends the process's use."""
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nSearch for it")


FAULTS: Mapping[str, Callable[[], None]] = {
    "killed": killed,
    "crashed": crashed,
    "exit 3": lambda: os._exit(3),
    "exit 0": lambda: os._exit(0),
    "stopped": stopped,
    "asleep": asleep,
    "broken": broken,
    "slow": lambda: time.sleep(0.5),
}


@dataclass(frozen=True)
class FaultyTrainer(Trainer):
    """Trains nothing; goes wrong in the attempts at the seeds that ``faults`` names.

    Its folder keeps a file of every attempt with the id of its process, for the test to look at.
    """

    folder: Path = Path()
    faults: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """What happens in the first attempt at a seed, the second, ...; then nothing does.

    ``held`` waits until the folder has a file ``release``.
    """
    environments: tuple[Environment, ...] = (ENVIRONMENT,)
    """Of the first worker, the second, ...; those that follow have the last."""
    trained_in: Environment = ENVIRONMENT

    def read_environment(self, device: str, injected_fault: str | None) -> Environment:
        """Return the environment of this worker."""
        del device, injected_fault
        worker = take_number(self.folder, "worker")
        return self.environments[min(worker, len(self.environments)) - 1]

    def carry_out(self, task: Task) -> tuple[Record, ...]:
        """Make up a record of each run."""
        return tuple(self.train(run) for run in task)

    def train(self, run: Run) -> Record:
        """Go wrong, if it is this attempt's turn."""
        attempt = take_number(self.folder, f"seed-{run.seed}")
        faults = dict(enumerate(self.faults.get(run.seed, ()), start=1))
        fault = faults.get(attempt, "none")
        while fault == "held" and not (self.folder / "release").exists():
            time.sleep(0.02)
        FAULTS.get(fault, lambda: None)()
        return record_of(run, self.trained_in)

    def processes(self, seed: int) -> list[int]:
        """Return the ids of the processes that were at a seed, one an attempt."""
        count = len(list(self.folder.glob(f"seed-{seed}-*")))
        files = (self.folder / f"seed-{seed}-{n}" for n in range(1, count + 1))
        return [int(file.read_text()) for file in files]


@dataclass(frozen=True)
class TracedTrainer(Trainer):
    """Trains really; leaves a file with the id of its process where it begins a task."""

    folder: Path = Path()

    def carry_out(self, task: Task) -> tuple[Record, ...]:
        """Train."""
        take_number(self.folder, task[0].backend)
        return super().carry_out(task)


class CountingTrainer(FaultyTrainer):
    """Its workers count something with tqdm."""

    def train(self, run: Run) -> Record:
        """Count."""
        from tqdm import tqdm

        list(tqdm(range(3), disable=True))
        return super().train(run)


class NeverReady(FaultyTrainer):
    """Its workers end before they are ready."""

    def read_environment(self, device: str, injected_fault: str | None) -> Environment:
        """Fail as a broken installation does."""
        del device, injected_fault
        raise ImportError("libcudart.so.13: cannot open shared object file")


def take_number(folder: Path, name: str) -> int:
    """Return the first number from 1 that no process has taken for ``name``, and take it."""
    number = 0
    while True:
        number += 1
        try:
            handle = os.open(folder / f"{name}-{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            continue
        with os.fdopen(handle, "w") as file:
            file.write(str(os.getpid()))
        return number
