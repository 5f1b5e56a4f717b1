"""Throughput of backends, timed in interleaved rounds, so that a slow minute affects all."""

from __future__ import annotations

import hashlib
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from operator import truediv

import numpy as np

from bench.backends import IMPLEMENTATIONS
from bench.backends.cuda_graph import WARM_UP_CALLS, no_garbage_collection
from bench.execution.environment import read_environment, read_provenance, reproducible_settings
from bench.execution.parity import check
from bench.plan.grid import reference_backend
from bench.plan.plan import backends_of
from bench.store.records import CALIBRATION, FAILED, OK, SKIPPED, Measurement, Sample, Timed
from bench.timing import calibration_workload
from bench.timing.calibration_workload import CalibrationWorkload
from bench.timing.session import PHASES, Block, Session, nothing_compiled, time_block
from hnrnn.text import one_line
from hnrnn.variants import VARIANTS, Variant
from hnrnn.weights import DTYPES

WARM_UP_BLOCKS = 2
CALIBRATION_SHARE, LEAST_CALIBRATION_SECONDS = 0.2, 0.04
"""The workload's part of a block's length, and the least that is no shorter than a whole block."""

Samples = list[tuple[Timed, Sample | None]]


@dataclass(frozen=True)
class Effort:
    """How much is timed: the number of rounds, the length of a block of steps, the phases."""

    rounds: int
    block_seconds: float
    phases: tuple[str, ...] = PHASES


class _Calibration:
    """The calibration workload, timed as a session is; it does the same in every phase."""

    tokens_per_step = 1
    """It has no tokens: a step counts as one."""
    graphed_step = None
    phases = PHASES

    def __init__(self, device: str, dtype: str) -> None:
        self.device, self.workload = device, CalibrationWorkload(device, DTYPES[dtype])

    def run(self, _: str, steps: int) -> Block:
        """Run ``steps`` of it between two synchronisations, and return their time."""
        return time_block(self.workload.step, steps, self.device)


@dataclass
class _Entry:
    timed: Timed
    session: Session | _Calibration
    first_call_seconds: dict[str, float] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    peak_memory_bytes: int | None = None


def measure(
    variants: Sequence[str],
    backends: Sequence[str],
    effort: Effort,
    *,
    device: str,
    dtype: str = "float32",
    threads: int = 1,
    watch: Callable[[str], None],
) -> Measurement:
    """Time every configuration of the grid and return all samples.

    The reference backend is always timed, a second time as its A/A control. A configuration that
    cannot run here is skipped with the reason; one that the parity gate refuses has failed.
    ``watch`` is called with lines of progress.
    """
    started_at = datetime.now(UTC)
    samples: Samples = []
    with reproducible_settings(threads):
        environment = read_environment(device)
        for name in variants:
            samples += _time_variant(VARIANTS[name], backends, effort, device, dtype, watch)
    provenance = read_provenance(device)
    content = f"{environment}{provenance}{started_at.isoformat()}"
    identity = hashlib.sha256(content.encode()).hexdigest()[:20]
    return Measurement(identity, started_at, environment, provenance, tuple(samples))


def summary(measurement: Measurement) -> str:
    """Return one line per variant and phase, with the median milliseconds per step.

    A last line has the calibration workload's, and how many of its steps a step of each reference
    takes: the median over the rounds.
    """
    milliseconds: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for timed, sample in measurement.samples:
        if sample is not None and not timed.aa_control:
            its_samples = milliseconds[f"{timed.variant} {timed.phase}"][timed.backend]
            its_samples.append(1000 * sample.wall_seconds / sample.steps)
    workloads = {phase: each.pop(CALIBRATION, []) for phase, each in milliseconds.items()}
    lines = [
        f"{phase}, ms per step: "
        + ", ".join(f"{name} {statistics.median(each):.2f}" for name, each in backends.items())
        for phase, backends in milliseconds.items()
    ]
    in_steps = [
        f"{phase} {statistics.median(map(truediv, milliseconds[phase][reference], workload)):.2f}"
        for phase, workload in workloads.items()
        for reference in [reference_backend(VARIANTS[phase.partition(" ")[0]])]
        if workload and reference in milliseconds[phase]
    ]
    if in_steps:
        middle = statistics.median(chain.from_iterable(workloads.values()))
        lines.append(
            f"{calibration_workload.VERSION}, ms per step: {middle:.2f}; its steps per step of the "
            f"reference: {', '.join(in_steps)}"
        )
    return "\n".join(lines)


def _time_variant(
    variant: Variant,
    backends: Sequence[str],
    effort: Effort,
    device: str,
    dtype: str,
    watch: Callable[[str], None],
) -> Samples:
    reference = reference_backend(variant)
    entries: list[_Entry] = []
    samples: Samples = []
    for name in dict.fromkeys([reference, *backends_of(variant, backends)]):
        watch(f"{variant.name} {name}: parity, first calls")
        timed = Timed(variant.name, name, aa_control=False, dtype=dtype, device=device)
        try:
            timed = _gate(variant, timed)
            if timed.status == OK:
                controls = [replace(timed, aa_control=True)] if name == reference else []
                entries += [_prepare(variant, each, effort) for each in (timed, *controls)]
        except Exception as error:  # noqa: BLE001  # any error fails this configuration only
            timed = replace(timed, status=FAILED, error=f"{type(error).__name__}: {error}")
        if timed.status != OK:
            watch(f"{variant.name} {name}: {timed.status}, {one_line(timed.error)}")
            samples.append((timed, None))
    if entries:
        entries.append(_prepare_calibration(variant, effort, device, dtype))
    for phase in effort.phases:
        watch(f"{variant.name} {phase}: {effort.rounds} rounds")
        samples += _time_phase([e for e in entries if phase in e.steps], phase, effort)
    return samples


def _gate(variant: Variant, timed: Timed) -> Timed:
    """Return the configuration with its kernel, its parity, and its status after the gate."""
    implementation = IMPLEMENTATIONS[timed.backend]
    reason = implementation.why_unavailable(timed.device)
    if reason:
        return replace(timed, status=SKIPPED, error=f"{timed.backend} {reason}")
    parity = check(variant, timed.backend, timed.device)
    with implementation.settings():
        kernel = implementation.kernel(variant, timed.device)
    return replace(
        timed,
        kernel=kernel,
        status=OK if parity.passed else FAILED,
        error="; ".join(parity.failures) or None,
        parity_float64=parity.float64,
        parity_float32=parity.float32,
        parity_tf32=parity.tf32,
    )


def _prepare(variant: Variant, timed: Timed, effort: Effort) -> _Entry:
    """Prepare a session: first calls, peak memory, warm-up and the number of steps per block."""
    session = Session(variant, timed.backend, timed.device, timed.dtype)
    entry = _Entry(timed, session)
    # The parity gate has compiled already. Forget that, to measure the time of compiling.
    with nothing_compiled() if timed.backend == "compiled" else nullcontext():
        for phase in session.phases:
            entry.first_call_seconds[phase] = session.run(phase, 1).wall_seconds
            if phase == "train_step":
                session.run(phase, WARM_UP_CALLS - 1)
                entry.peak_memory_bytes = session.peak_memory_bytes()
    for phase in set(session.phases) & set(effort.phases):
        entry.steps[phase] = _steps_per_block(session, phase, effort.block_seconds)
    if session.graphed_step:
        session.graphed_step.check_captured()
    return entry


def _prepare_calibration(variant: Variant, effort: Effort, device: str, dtype: str) -> _Entry:
    """Prepare the workload; its blocks are shorter than the others', since it is timed often."""
    version = calibration_workload.VERSION
    timed = Timed(variant.name, CALIBRATION, False, dtype, device, kernel=version)  # noqa: FBT003
    session = _Calibration(device, dtype)
    least = min(effort.block_seconds, LEAST_CALIBRATION_SECONDS)
    seconds = max(CALIBRATION_SHARE * effort.block_seconds, least)
    first = session.run(PHASES[0], 1).wall_seconds
    steps = _steps_per_block(session, PHASES[0], seconds)
    return _Entry(timed, session, dict.fromkeys(PHASES, first), dict.fromkeys(effort.phases, steps))


def _steps_per_block(session: Session | _Calibration, phase: str, seconds: float) -> int:
    """Warm up, and return how many steps of a phase take so many seconds."""
    steps = 1
    for _ in range(WARM_UP_BLOCKS):
        block = session.run(phase, max(3, steps))
        steps = max(1, round(seconds * block.steps / block.wall_seconds))
    return steps


def _time_phase(entries: Sequence[_Entry], phase: str, effort: Effort) -> Samples:
    """Time the entries in rounds, in a random but reproducible order in each round."""
    generator = np.random.default_rng(0)
    samples: list[list[Sample]] = [[] for _ in entries]
    for number in range(effort.rounds):
        with no_garbage_collection():  # a collection takes longer than many steps
            for position, index in enumerate(generator.permutation(len(entries)).tolist()):
                session, steps = entries[index].session, entries[index].steps[phase]
                block = session.run(phase, steps)
                sample = Sample(
                    round=number,
                    position=position,
                    steps=steps,
                    tokens=steps * session.tokens_per_step,
                    wall_seconds=block.wall_seconds,
                    device_seconds=block.device_seconds,
                )
                samples[index].append(sample)
    return [
        (timed, sample)
        for entry, its_samples in zip(entries, samples, strict=True)
        for timed in [_with_costs(entry, phase, its_samples)]
        for sample in its_samples
    ]


def _with_costs(entry: _Entry, phase: str, samples: Sequence[Sample]) -> Timed:
    """Return the entry's configuration with its one-time costs: first call, compiling, memory."""
    first_call_seconds, compile_seconds = entry.first_call_seconds[phase], None
    if entry.timed.backend == "compiled":
        step_seconds = statistics.median(each.wall_seconds / each.steps for each in samples)
        compile_seconds = max(0.0, first_call_seconds - step_seconds)
    graphed = entry.session.graphed_step
    return replace(
        entry.timed,
        phase=phase,
        first_call_seconds=first_call_seconds,
        compile_seconds=compile_seconds,
        capture_seconds=graphed.graph.capture_seconds if graphed else None,
        peak_memory_bytes=entry.peak_memory_bytes if phase == "train_step" else None,
    )
