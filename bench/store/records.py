"""What the store keeps of runs, epochs and throughput. This module loads quickly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from hnrnn.variants import VARIANTS

SCHEMA_VERSION = 5
VERSION_KEY = b"schema_version"
"""The key of a file's metadata for the version of its schema."""
ENSEMBLE = "ensemble"
CALIBRATION = "calibration"
"""What stands for a backend in the rows of the calibration workload; ``kernel`` is its version."""
ID_VERSION = 2
"""The version of what an id is made from."""

OK = "ok"
DIVERGED = "diverged"
"""The status of a run that was trained to its end with a loss that is not finite: also a result."""
FAILED = "failed"
SKIPPED = "skipped"
"""The status of a run whose backend cannot run on its device; ``error`` says why."""


@dataclass(frozen=True)
class Run:
    """One training of one variant on one backend with one seed, as it is asked for."""

    variant: str
    backend: str
    seed: int
    dtype: str
    initialisation: str
    device: str
    epochs: int
    injected_fault: str | None = None

    @property
    def label(self) -> str:
        """The run in a few words, for people."""
        injected = "" if self.injected_fault is None else f" with {self.injected_fault}"
        return f"{self.variant} {self.backend} seed {self.seed}{injected}"


@dataclass(frozen=True)
class Environment:
    """What a run's result depends on beyond the run; older records have None at the end."""

    device_name: str
    torch_version: str
    fastai_version: str
    cuda_version: str | None
    cudnn_version: str | None
    threads: int
    deterministic_algorithms: bool
    tf32: bool
    data_sha256: str
    source_sha256: str
    instruction_set: str | None = None
    """The instructions of torch's own kernels, such as ``AVX2``."""
    numeric_fingerprint: str | None = None
    """A hash of the results of fixed operations."""


@dataclass(frozen=True)
class Provenance:
    """Where a run came from, beyond what its result depends on."""

    package_version: str
    commit: str | None
    dirty: bool | None
    python_version: str
    platform: str
    driver_version: str | None


@dataclass(frozen=True)
class Outcome:
    """How a run ended; a failed or skipped run has None for what it lacks."""

    status: str
    kernel: str | None
    """What executed the recurrence; None if the run was not trained to its end."""
    started_at: datetime
    ended_at: datetime
    total_seconds: float
    error: str | None = None
    train_seconds: float | None = None
    valid_seconds: float | None = None
    train_tokens_per_second: float | None = None
    initial_weights_sha256: str | None = None
    weights_sha256: str | None = None


@dataclass(frozen=True)
class Epoch:
    """One epoch of a run; the losses are mean cross-entropies in nats per token."""

    run_id: str
    variant: str
    backend: str
    seed: int
    epoch: int
    train_loss: float
    valid_loss: float
    accuracy: float
    train_seconds: float
    valid_seconds: float


@dataclass(frozen=True)
class Timed:
    """One phase of a training in one configuration, and its costs; or why it was not timed."""

    variant: str
    backend: str
    aa_control: bool
    """Whether this is the reference backend timed a second time, as its own control."""
    dtype: str
    device: str
    status: str = OK
    error: str | None = None
    kernel: str | None = None
    phase: str | None = None
    first_call_seconds: float | None = None
    compile_seconds: float | None = None
    """With ``torch.compile``: the first call's time beyond that of a later one."""
    capture_seconds: float | None = None
    peak_memory_bytes: int | None = None
    """The most that a training step holds beyond weights, optimizer state and batch."""
    parity_float64: float | None = None
    """Largest difference from the reference; see ``bench.execution.parity``."""
    parity_float32: float | None = None
    parity_tf32: float | None = None


@dataclass(frozen=True)
class Sample:
    """One block of steps between two synchronisations."""

    round: int
    position: int
    """The block's place in its round; each round has another order."""
    steps: int
    tokens: int
    wall_seconds: float
    device_seconds: float | None
    """Between CUDA events, or the CPU time of one thread, in which waiting does not count; None for
    several threads, and in older records of a CPU."""


@dataclass(frozen=True)
class Measurement:
    """Everything that one call of ``bench throughput`` timed side by side."""

    measurement_id: str
    started_at: datetime
    environment: Environment
    provenance: Provenance
    samples: tuple[tuple[Timed, Sample | None], ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the ``throughput`` table: one per sample or skipped configuration."""
        shared = {"measurement_id": self.measurement_id, "started_at": self.started_at}
        shared |= asdict(self.environment) | asdict(self.provenance)
        nothing = {field.name: None for field in fields(Sample)}
        return [
            shared | asdict(timed) | (asdict(sample) if sample else nothing)
            for timed, sample in self.samples
        ]


@dataclass(frozen=True)
class Recipe:
    """The recipe of a variant: what a result depends on besides the code."""

    bptt: int
    recipe_epochs: int
    learning_rate: float
    pct_start: float
    loss: str
    metric: str


def recipe(variant: str) -> dict[str, Any]:
    """Return the recipe of a variant as columns."""
    v = VARIANTS[variant]
    return asdict(Recipe(v.bptt, v.epochs, v.learning_rate, v.pct_start, v.loss, v.metric))


@dataclass(frozen=True)
class Record:
    """A finished run with its epochs, as the store keeps it."""

    run_id: str
    run: Run
    environment: Environment
    provenance: Provenance
    outcome: Outcome
    epochs: tuple[Epoch, ...]

    def run_row(self) -> dict[str, Any]:
        """Return the run's row of the ``runs`` table."""
        row: dict[str, Any] = {"run_id": self.run_id}
        for part in (self.run, self.environment, self.provenance, self.outcome):
            row |= asdict(part)
        return row | recipe(self.run.variant) | {"epoch_rows": len(self.epochs)}

    def epoch_rows(self) -> list[dict[str, Any]]:
        """Return the run's rows of the ``epochs`` table."""
        return [asdict(epoch) for epoch in self.epochs]


def run_id(run: Run, environment: Environment) -> str:
    """Return the id of a run: a hash of everything that determines its result."""
    content = asdict(run) | asdict(environment) | recipe(run.variant)
    if run.injected_fault is None:  # ids are older than this field
        del content["injected_fault"]
    text = json.dumps(content | {"schema_version": ID_VERSION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
