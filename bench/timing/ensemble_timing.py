"""Training one seed after the other against an ensemble of many, in seconds per seed.

Both are timed in interleaved rounds, so that a slow minute affects both. A call is timed as a
whole, with the models, batches and hashes that it makes once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import torch

from bench.engines.tasks import MOST_SEEDS
from bench.ensemble.chunks import chunk_size
from bench.ensemble.training import fit_many
from bench.execution.environment import read_environment, reproducible_settings
from bench.plan.grid import NOTEBOOK
from bench.store.records import ENSEMBLE
from bench.timing.roofline import (
    Work,
    measure_peak,
    operations_of_learner,
    synchronise,
    work_of_ensemble,
)
from hnrnn.training import fit
from hnrnn.variants import VARIANTS

WAYS = (NOTEBOOK, ENSEMBLE)

TIMED_HEADINGS = (
    "| | seeds at once | notebook, s/seed | ensemble, s/seed | ratio | range | seeds per hour |",
    "| :-- |" + " --: |" * 6,
)
FLOOR_HEADINGS = (
    "| | notebook, GFLOP | ensemble, GFLOP | in s | ensemble, GB moved | in s |",
    "| :-- |" + " --: |" * 5,
)


def compare(
    variants: Sequence[str],
    *,
    device: str,
    rounds: int,
    seeds: int | None = None,
    epochs: int | None = None,
    watch: Callable[[str], None],
) -> pd.DataFrame:
    """Time both on ``device``, ``cpu`` (one thread) or ``cuda``; return one row per call.

    An ensemble has ``seeds`` seeds, by default as many as the device trains at once. A training has
    at most ``epochs`` epochs. ``watch`` is called with a line before each call. ``operations`` and
    ``traffic_bytes`` are those of one seed (NaN: not counted); ``position`` is 0 for the first call
    of a variant's round, 1 for the second.
    """
    passes = {
        name: min(epochs or VARIANTS[name].epochs, VARIANTS[name].epochs) for name in variants
    }
    rows: list[dict[str, object]] = []
    with reproducible_settings():
        environment, peak = read_environment(device), measure_peak(device)
        at_once: dict[str, dict[str, int]] = {}
        work: dict[tuple[str, str], Work] = {}
        for name in variants:
            variant = VARIANTS[name]
            most = min(chunk_size(variant, "float32", torch.device(device)), MOST_SEEDS[device])
            at_once[name] = {NOTEBOOK: 1, ENSEMBLE: seeds or most}
            work[name, NOTEBOOK] = Work(operations_of_learner(variant, passes[name]), np.nan)
            work[name, ENSEMBLE] = work_of_ensemble(variant, passes[name], device)
        for name, way in product(variants, WAYS):
            watch(f"{name} {way}: first call")  # loads and compiles what is needed once
            _call(way, name, at_once[name][way], 1, device)
        for number, name in product(range(rounds), variants):
            for position, way in enumerate(WAYS if number % 2 == 0 else WAYS[::-1]):
                count = at_once[name][way]
                watch(f"{name} {way}: round {number + 1} of {rounds}, {count} at once")
                row = {
                    "variant": name,
                    "backend": VARIANTS[name].backend if way == NOTEBOOK else ENSEMBLE,
                    "round": number,
                    "position": position,
                    "seeds": count,
                    "epochs": passes[name],
                    "wall_seconds": _call(way, name, count, passes[name], device),
                    "operations": work[name, way].operations,
                    "traffic_bytes": work[name, way].traffic_bytes,
                    "peak_operations_per_second": peak.operations_per_second,
                    "peak_bytes_per_second": peak.bytes_per_second,
                    "device_name": environment.device_name,
                    "torch_version": environment.torch_version,
                }
                rows.append(row)
    return pd.DataFrame(rows)


def _call(way: str, variant: str, seeds: int, epochs: int, device: str) -> float:
    synchronise(device)
    start = time.perf_counter()
    if way == NOTEBOOK:
        fit(variant, seed=0, epochs=epochs, device=device)
    else:
        fit_many(variant, seeds=range(seeds), epochs=epochs, device=device)
    synchronise(device)
    return time.perf_counter() - start


def as_markdown(timed: pd.DataFrame) -> str:
    """Return two tables, times and lower bounds, with one row per variant and one for all.

    ``timed`` is the result of ``compare``. Seconds and ratios are medians over rounds.
    """
    groups: dict[object, pd.DataFrame] = dict(iter(timed.groupby("variant", sort=False)))
    if len(groups) > 1:
        groups["together"] = timed
    first = timed.iloc[0]
    source = (
        f"{first.device_name} with torch {first.torch_version} reaches "
        f"{first.peak_operations_per_second / 1e9:,.0f} GFLOP/s in a large product and "
        f"{first.peak_bytes_per_second / 1e9:,.0f} GB/s in a large copy. A seed takes at least:"
    )
    seconds = [_timed_row(str(name), rows) for name, rows in groups.items()]
    floors = [_floor_row(str(name), rows) for name, rows in groups.items()]
    return "\n".join([*TIMED_HEADINGS, *seconds, "", source, "", *FLOOR_HEADINGS, *floors])


def _timed_row(name: str, rows: pd.DataFrame) -> str:
    per_seed = rows["wall_seconds"] / rows["seeds"]
    by_round = per_seed.groupby([rows["backend"] == ENSEMBLE, rows["round"]]).sum()
    alone, ensemble = (by_round[joint].to_numpy() for joint in (False, True))
    ratios = alone / ensemble
    sizes = rows.loc[rows["backend"] == ENSEMBLE, "seeds"].unique()
    return (
        f"| {name} | {', '.join(map(str, sizes))} | {np.median(alone):#.3g} | "
        f"{np.median(ensemble):#.3g} | {np.median(ratios):.2f} | {ratios.min():.2f} to "
        f"{ratios.max():.2f} | {3600 / np.median(ensemble):,.0f} |"
    )


def _floor_row(name: str, rows: pd.DataFrame) -> str:
    work = rows.drop_duplicates(["variant", "backend"])
    together = work["backend"] == ENSEMBLE
    alone, operations = (work.loc[each, "operations"].sum() for each in (~together, together))
    moved, first = work.loc[together, "traffic_bytes"].sum(), rows.iloc[0]
    return (
        f"| {name} | {alone / 1e9:.1f} | {operations / 1e9:.1f} | "
        f"{operations / first.peak_operations_per_second:#.3g} | "
        f"{moved / 1e9:.1f} | {moved / first.peak_bytes_per_second:#.3g} |"
    )
