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
from bench.execution.environment import read_environment, reproducible_settings
from bench.store.records import ENSEMBLE, LEARNER
from bench.timing.roofline import (
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
    """One call's seconds, and what they are held against."""

    variant: str
    engine: str
    """``learner`` or ``ensemble``, as in the column of a run's record."""
    round: int
    position: int
    """Whether it was the first or the second of its round."""
    seeds: int
    epochs: int
    wall_seconds: float
    operations: float
    """Of one seed, as ``bench.timing.roofline`` counts them."""
    traffic_bytes: float
    """Of one seed; NaN where they are not counted."""
    peak_operations_per_second: float
    """What the device did at most before the first round."""
    peak_bytes_per_second: float
    device_name: str
    torch_version: str


def compare(
    variants: Sequence[str],
    *,
    device: str,
    rounds: int,
    seeds: int | None = None,
    epochs: int | None = None,
    watch: Callable[[str], None],
) -> pd.DataFrame:
    """Time both on ``device``, ``cpu`` (one thread) or ``cuda``; return a row a call.

    The columns are those of ``TimedTraining``. An ensemble has ``seeds`` seeds, else as many as are
    trained at once there. A training has at most ``epochs``; None is the recipe's. ``watch`` is
    called with a line before each call.
    """
    passes = {
        name: min(epochs or VARIANTS[name].epochs, VARIANTS[name].epochs) for name in variants
    }
    trainings: list[TimedTraining] = []
    with reproducible_settings():
        environment, peak = read_environment(device), measure_peak(device)
        at_once = {
            name: {LEARNER: 1, ENSEMBLE: seeds or _most_seeds(name, device)} for name in variants
        }
        work: dict[tuple[str, str], Work] = {}
        for name in variants:
            variant = VARIANTS[name]
            work[name, LEARNER] = Work(operations_of_learner(variant, passes[name]), np.nan)
            work[name, ENSEMBLE] = work_of_ensemble(variant, passes[name], device)
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
                        operations=work[name, engine].operations,
                        traffic_bytes=work[name, engine].traffic_bytes,
                        peak_operations_per_second=peak.operations_per_second,
                        peak_bytes_per_second=peak.bytes_per_second,
                        device_name=environment.device_name,
                        torch_version=environment.torch_version,
                    )
                )
    return pd.DataFrame([asdict(training) for training in trainings])


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


def as_markdown(timed: pd.DataFrame) -> str:
    """Return two tables with a row a variant and one for all: what was timed, and the floors.

    ``timed`` is what ``compare`` returns. Seconds and ratios are medians over rounds.
    """
    groups: dict[object, pd.DataFrame] = dict(iter(timed.groupby("variant", sort=False)))
    if len(groups) > 1:
        groups["together"] = timed
    first = timed.iloc[0]
    source = (
        f"{first.device_name}, torch {first.torch_version}, does "
        f"{first.peak_operations_per_second / 1e9:,.0f} GFLOP/s in a large product, and moves "
        f"{first.peak_bytes_per_second / 1e9:,.0f} GB/s in a large copy. A seed takes, at least:"
    )
    seconds = [_timed_row(str(name), rows) for name, rows in groups.items()]
    floors = [_floor_row(str(name), rows) for name, rows in groups.items()]
    return "\n".join([*TIMED_HEADINGS, *seconds, "", source, "", *FLOOR_HEADINGS, *floors])


def _timed_row(name: str, rows: pd.DataFrame) -> str:
    per_seed = rows["wall_seconds"] / rows["seeds"]
    by_round = per_seed.groupby([rows["engine"], rows["round"]]).sum()
    learner, ensemble = (by_round[engine].to_numpy() for engine in ENGINES)
    ratios = learner / ensemble
    sizes = rows.loc[rows["engine"] == ENSEMBLE, "seeds"].unique()
    return (
        f"| {name} | {', '.join(map(str, sizes))} | {np.median(learner):#.3g} | "
        f"{np.median(ensemble):#.3g} | {np.median(ratios):.2f} | {ratios.min():.2f} to "
        f"{ratios.max():.2f} | {3600 / np.median(ensemble):,.0f} |"
    )


def _floor_row(name: str, rows: pd.DataFrame) -> str:
    work = rows.drop_duplicates(["variant", "engine"]).groupby("engine")
    operations, moved = work["operations"].sum(), work["traffic_bytes"].sum()
    first = rows.iloc[0]
    return (
        f"| {name} | {operations[LEARNER] / 1e9:.1f} | {operations[ENSEMBLE] / 1e9:.1f} | "
        f"{operations[ENSEMBLE] / first.peak_operations_per_second:#.3g} | "
        f"{moved[ENSEMBLE] / 1e9:.1f} | {moved[ENSEMBLE] / first.peak_bytes_per_second:#.3g} |"
    )
