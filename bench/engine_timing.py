"""The two ways to train, side by side: one seed after the other, and many seeds as an ensemble.

Both are timed in interleaved rounds, so that a slow minute hits both, and a call is timed whole,
with what it does once: models, batches, hashes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch

from bench.engines.ensemble import MOST_SEEDS
from bench.ensemble.chunks import chunk_size
from bench.ensemble.training import fit_many
from bench.environment import read_environment, reproducible_settings
from bench.records import ENSEMBLE, LEARNER
from bench.roofline import (
    Peak,
    Work,
    measure_peak,
    operations_of_learner,
    synchronise,
    work_of_ensemble,
)
from hnrnn.training import fit
from hnrnn.variants import VARIANTS

ENGINES = (LEARNER, ENSEMBLE)

TIMED_HEADINGS = (
    "| | seeds at once | learner, s a seed | ensemble, s a seed | ratio | range | seeds an hour |",
    "| :-- |" + " --: |" * 6,
)
FLOOR_HEADINGS = (
    "| | learner, GFLOP | ensemble, GFLOP | in s | ensemble, GB moved | in s |",
    "| :-- |" + " --: |" * 5,
)


@dataclass(frozen=True)
class TimedTraining:
    """One call's seconds."""

    variant: str
    engine: str
    """``learner`` or ``ensemble``, as in the column of a run's record."""
    round: int
    position: int
    """Whether it was the first or the second of its round."""
    seeds: int
    epochs: int
    wall_seconds: float
    device_name: str
    torch_version: str


@dataclass(frozen=True)
class Comparison:
    """What was timed, and what it is held against."""

    trainings: tuple[TimedTraining, ...]
    ensemble_work: dict[str, Work]
    """By variant, of one seed over the epochs that were timed."""
    learner_operations: dict[str, float]
    peak: Peak

    def frame(self) -> pd.DataFrame:
        """Return the timed calls, one row each."""
        return pd.DataFrame([asdict(training) for training in self.trainings])


def compare(
    variants: Sequence[str],
    *,
    device: str,
    rounds: int,
    seeds: int | None = None,
    epochs: int | None = None,
    watch: Callable[[str], None],
) -> Comparison:
    """Time both on ``device``, ``cpu`` (one thread) or ``cuda``.

    An ensemble has ``seeds`` seeds, else as many as are trained at once there. A training has at
    most ``epochs``; None is the recipe's. ``watch`` is called with a line before each call.
    """
    passes = {
        name: min(epochs or VARIANTS[name].epochs, VARIANTS[name].epochs) for name in variants
    }
    trainings: list[TimedTraining] = []
    with reproducible_settings():
        environment = read_environment(device)
        at_once = {
            name: {LEARNER: 1, ENSEMBLE: seeds or _most_seeds(name, device)} for name in variants
        }
        for name, engine in product(variants, ENGINES):
            watch(f"{name} {engine}: first call")  # what is loaded and compiled once
            _call(engine, name, at_once[name][engine], 1, device)
        for number, name in product(range(rounds), variants):
            for position, engine in enumerate(ENGINES if number % 2 == 0 else ENGINES[::-1]):
                count = at_once[name][engine]
                watch(f"{name} {engine}: round {number + 1} of {rounds}, {count} at once")
                seconds = _call(engine, name, count, passes[name], device)
                trainings.append(
                    TimedTraining(
                        variant=name,
                        engine=engine,
                        round=number,
                        position=position,
                        seeds=count,
                        epochs=passes[name],
                        wall_seconds=seconds,
                        device_name=environment.device_name,
                        torch_version=environment.torch_version,
                    )
                )
        work = {name: work_of_ensemble(VARIANTS[name], passes[name], device) for name in variants}
        operations = {
            name: operations_of_learner(VARIANTS[name], passes[name]) for name in variants
        }
        return Comparison(tuple(trainings), work, operations, measure_peak(device))


def _most_seeds(variant: str, device: str) -> int:
    size = chunk_size(VARIANTS[variant], "float32", torch.device(device))
    return min(size, MOST_SEEDS[device])


def _call(engine: str, variant: str, seeds: int, epochs: int, device: str) -> float:
    """Return the seconds of one call."""
    synchronise(device)
    start = time.perf_counter()
    if engine == LEARNER:
        fit(variant, seed=0, epochs=epochs, device=device)
    else:
        fit_many(variant, seeds=range(seeds), epochs=epochs, device=device)
    synchronise(device)
    return time.perf_counter() - start


def as_markdown(comparison: Comparison) -> str:
    """Return two tables with a row a variant and one for all: what was timed, and the floors.

    Seconds and ratios are medians over rounds.
    """
    names = list(comparison.ensemble_work)
    groups = {name: [name] for name in names} | ({"together": names} if len(names) > 1 else {})
    timed = [_timed_row(name, members, comparison) for name, members in groups.items()]
    floors = [_floor_row(name, members, comparison) for name, members in groups.items()]
    first, peak = comparison.trainings[0], comparison.peak
    source = (
        f"{first.device_name}, torch {first.torch_version}, does "
        f"{peak.operations_per_second / 1e9:,.0f} GFLOP/s in a large product, and moves "
        f"{peak.bytes_per_second / 1e9:,.0f} GB/s in a large copy. A seed takes, at least:"
    )
    return "\n".join([*TIMED_HEADINGS, *timed, "", source, "", *FLOOR_HEADINGS, *floors])


def _timed_row(name: str, members: Sequence[str], comparison: Comparison) -> str:
    trainings = [t for t in comparison.trainings if t.variant in members]
    rounds = 1 + max(training.round for training in trainings)
    seconds = {engine: np.zeros(rounds) for engine in ENGINES}
    for training in trainings:
        seconds[training.engine][training.round] += training.wall_seconds / training.seeds
    ratios = seconds[LEARNER] / seconds[ENSEMBLE]
    learner, ensemble = (float(np.median(seconds[engine])) for engine in ENGINES)
    sizes = dict.fromkeys(t.seeds for t in trainings if t.engine == ENSEMBLE)
    return (
        f"| {name} | {', '.join(map(str, sizes))} | {learner:.3g} | {ensemble:.3g} | "
        f"{np.median(ratios):.2f} | {ratios.min():.2f} to {ratios.max():.2f} | "
        f"{3600 / ensemble:,.0f} |"
    )


def _floor_row(name: str, members: Sequence[str], comparison: Comparison) -> str:
    peak = comparison.peak
    of_learner = sum(comparison.learner_operations[member] for member in members)
    operations = sum(comparison.ensemble_work[member].operations for member in members)
    moved = sum(comparison.ensemble_work[member].traffic_bytes for member in members)
    return (
        f"| {name} | {of_learner / 1e9:.1f} | {operations / 1e9:.1f} | "
        f"{operations / peak.operations_per_second:.3g} | {moved / 1e9:.1f} | "
        f"{moved / peak.bytes_per_second:.3g} |"
    )
