"""Throughput of backends, timed in interleaved rounds: a slow minute affects all of them."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from bench.backends import IMPLEMENTATIONS
from bench.backends.cuda_graph import WARM_UP_CALLS, no_garbage_collection
from bench.execution.environment import read_environment, read_provenance, reproducible_settings
from bench.execution.parity import check
from bench.plan.grid import reference_backend
from bench.plan.plan import backends_of
from bench.store.records import FAILED, OK, SKIPPED, Measurement, Sample, Timed
from bench.timing.session import PHASES, Block, Session, nothing_compiled
from hnrnn.text import one_line
from hnrnn.variants import VARIANTS, Variant

WARM_UP_BLOCKS = 2


@dataclass(frozen=True)
class Effort:
    """The amount of timing: the number of rounds, the length of a block of steps, the phases."""

    rounds: int
    block_seconds: float
    phases: tuple[str, ...] = PHASES


@dataclass
class _Entry:
    """A session, with the results that are not samples."""

    timed: Timed
    session: Session
    first_call_seconds: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    peak_memory_bytes: int | None = None


Watcher = Callable[[str], None]
"""Called with a line of progress."""


def measure(
    variants: Sequence[str],
    backends: Sequence[str],
    effort: Effort,
    *,
    device: str,
    dtype: str = "float32",
    threads: int = 1,
    watch: Watcher,
) -> Measurement:
    """Time every configuration of the grid and return all samples.

    ``backends`` may include ``notebook``, which stands for each variant's own. The reference
    backend is always timed, and a second time as its A/A control. A configuration that cannot run
    here is skipped with the reason; one that the parity gate refuses has failed, and is not timed.
    """
    started_at = datetime.now(UTC)
    samples: list[tuple[Timed, Sample | None]] = []
    with reproducible_settings(threads):
        environment = read_environment(device)
        for name in variants:
            samples += _time_variant(VARIANTS[name], backends, effort, device, dtype, watch)
    provenance = read_provenance(device)
    content = f"{environment}{provenance}{started_at.isoformat()}"
    identity = hashlib.sha256(content.encode()).hexdigest()[:20]
    return Measurement(identity, started_at, environment, provenance, tuple(samples))


def summary(measurement: Measurement) -> str:
    """Return one line per variant and phase, with the median milliseconds per step."""
    milliseconds: dict[tuple[str, str], dict[str, list[float]]] = {}
    for timed, sample in measurement.samples:
        if sample is not None and timed.phase is not None and not timed.aa_control:
            backends = milliseconds.setdefault((timed.variant, timed.phase), {})
            each = backends.setdefault(timed.backend, [])
            each.append(1000 * sample.wall_seconds / sample.steps)
    return "\n".join(
        f"{variant} {phase}, ms per step: "
        + ", ".join(f"{name} {statistics.median(each):.2f}" for name, each in backends.items())
        for (variant, phase), backends in milliseconds.items()
    )


def _time_variant(
    variant: Variant,
    backends: Sequence[str],
    effort: Effort,
    device: str,
    dtype: str,
    watch: Watcher,
) -> list[tuple[Timed, Sample | None]]:
    reference = reference_backend(variant)
    names = list(dict.fromkeys([reference, *backends_of(variant, backends)]))
    entries: list[_Entry] = []
    samples: list[tuple[Timed, Sample | None]] = []
    for name in names:
        watch(f"{variant.name} {name}: parity, first calls")
        timed = _gate(variant, name, device, dtype)
        if timed.status == OK:
            controls = [replace(timed, aa_control=True)] if name == reference else []
            try:
                entries += [_prepare(variant, each, effort) for each in (timed, *controls)]
            except Exception as error:  # noqa: BLE001  # any error fails this configuration only
                timed = _failed(timed, error)
        if timed.status != OK:
            watch(f"{variant.name} {name}: {timed.status}, {one_line(timed.error)}")
            samples.append((timed, None))
    for phase in effort.phases:
        watch(f"{variant.name} {phase}: {effort.rounds} rounds")
        samples += _time_phase([e for e in entries if phase in e.steps], phase, effort)
    return samples


def _gate(variant: Variant, backend: str, device: str, dtype: str) -> Timed:
    """Return the configuration's status and parity: ok, or skipped or failed with the reason."""
    implementation = IMPLEMENTATIONS[backend]
    timed = Timed(
        variant=variant.name,
        backend=backend,
        aa_control=False,
        dtype=dtype,
        device=device,
        status=OK,
        error=None,
        kernel=None,
    )
    reason = implementation.why_unavailable(device)
    if reason:
        return replace(timed, status=SKIPPED, error=f"{backend} {reason}")
    try:
        parity = check(variant, backend, device)
    except Exception as error:  # noqa: BLE001  # a compiler can fail in many ways
        return _failed(timed, error)
    with implementation.settings():
        kernel = implementation.kernel(variant, device)
    return replace(
        timed,
        kernel=kernel,
        status=OK if parity.passed else FAILED,
        error="; ".join(parity.failures) or None,
        parity_float64=parity.float64,
        parity_float32=parity.float32,
        parity_tf32=parity.tf32,
    )


def _failed(timed: Timed, error: Exception) -> Timed:
    return replace(timed, status=FAILED, error=f"{type(error).__name__}: {error}")


def _prepare(variant: Variant, timed: Timed, effort: Effort) -> _Entry:
    """Prepare a session: first calls, peak memory, warm-up and the number of steps per block."""
    entry = _Entry(timed, Session(variant, timed.backend, timed.device, timed.dtype))
    session = entry.session
    # The parity gate has compiled already; forget that, to measure the time of compiling.
    with nothing_compiled() if timed.backend == "compiled" else nullcontext():
        for phase in session.phases:
            entry.first_call_seconds[phase] = session.run(phase, 1).wall_seconds
            if phase == "train_step":
                session.run(phase, WARM_UP_CALLS - 1)
                entry.peak_memory_bytes = session.peak_memory_bytes()
    for phase in set(session.phases) & set(effort.phases):
        entry.steps[phase] = 1
        for _ in range(WARM_UP_BLOCKS):
            block = session.run(phase, max(3, entry.steps[phase]))
            step_seconds = block.wall_seconds / block.steps
            entry.steps[phase] = max(1, round(effort.block_seconds / step_seconds))
    if session.graphed_step:
        session.graphed_step.check_captured()
    return entry


def _time_phase(
    entries: Sequence[_Entry], phase: str, effort: Effort
) -> list[tuple[Timed, Sample | None]]:
    """Time the entries in rounds, in a random but reproducible order in each round."""
    generator = np.random.default_rng(0)
    blocks: dict[int, list[tuple[int, int, Block]]] = {index: [] for index in range(len(entries))}
    for number in range(effort.rounds):
        with no_garbage_collection():  # a collection takes longer than many steps
            for position, index in enumerate(generator.permutation(len(entries)).tolist()):
                entry = entries[index]
                block = entry.session.run(phase, entry.steps[phase])
                blocks[index].append((number, position, block))
    samples: list[tuple[Timed, Sample | None]] = []
    for index, entry in enumerate(entries):
        timed = _with_costs(entry, phase, [block for _, _, block in blocks[index]])
        samples += [
            (
                timed,
                Sample(
                    round=number,
                    position=position,
                    steps=block.steps,
                    tokens=block.steps * entry.session.tokens_per_step,
                    wall_seconds=block.wall_seconds,
                    device_seconds=block.device_seconds,
                ),
            )
            for number, position, block in blocks[index]
        ]
    return samples


def _with_costs(entry: _Entry, phase: str, blocks: Sequence[Block]) -> Timed:
    """Return the entry's configuration with its one-time costs: first call, compiling, memory."""
    first_call_seconds = entry.first_call_seconds[phase]
    step_seconds = statistics.median(block.wall_seconds / block.steps for block in blocks)
    graphed = entry.session.graphed_step
    return replace(
        entry.timed,
        phase=phase,
        first_call_seconds=first_call_seconds,
        compile_seconds=(
            max(0.0, first_call_seconds - step_seconds)
            if entry.timed.backend == "compiled"
            else None
        ),
        capture_seconds=graphed.graph.capture_seconds if graphed else None,
        peak_memory_bytes=entry.peak_memory_bytes if phase == "train_step" else None,
    )
