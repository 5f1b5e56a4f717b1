"""The distances of trainings from the reference runs, kind by kind, as parquet files.

A file holds one kind, with one row per variant, seed, draw and epoch. ``train_loss``,
``valid_loss`` and ``accuracy`` are distances from the reference run of the seed.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.plan.grid import NOTEBOOK
from bench.store.files import write_whole
from bench.store.records import ENSEMBLE, OK, Run
from bench.store.store import Contents, Store
from bench.verification.kinds import Kind, file_name
from hnrnn.published import MEASURES, reference_runs, reference_weights
from hnrnn.variants import VARIANTS, Variant

if TYPE_CHECKING:
    from hnrnn.training import Training

KEYS = ["kind", "initialisation", "variant", "seed", "draw", "epoch"]
REFERENCE_SEEDS = {"ones": 60, "uniform": 15}
"""By start: every variant has a reference run of as many seeds from 0."""
SOFTWARE = ["device", "torch_version", "device_name", "instruction_set"]


def measure(
    kinds: Sequence[Kind],
    folder: Path,
    *,
    variants: Sequence[str],
    seeds: Sequence[int],
    epochs: int,
    device: str,
    jobs: int,
    say: Callable[[str], None],
) -> None:
    """Train every kind with every variant and seed, and write a file per kind into ``folder``.

    What is in a file already, with as many epochs, is not trained again. Each kind of a variant is
    trained in a process of its own, ``jobs`` at a time, because environment variables count only
    before torch is loaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        tasks = {
            pool.submit(train, kind, missing, epochs, device): name
            for kind in kinds
            for name in (file_name(kind.name, device, version("torch")),)
            if (missing := _missing(path_of(folder, name), kind, variants, seeds, epochs, device))
        }
        for task in as_completed(tasks):
            add_rows(folder, tasks[task], task.result())
            say(f"{tasks[task]}: measured")


def path_of(folder: Path, kind: str) -> Path:
    """Return the file of a kind."""
    return folder / f"{kind}.parquet"


def read(folder: Path) -> pd.DataFrame:
    """Return the rows of all files in ``folder``."""
    parts = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    return pd.concat(parts, ignore_index=True)


def add_rows(folder: Path, kind: str, rows: pd.DataFrame) -> None:
    """Write rows into the file of their kind, in place of those of the same runs."""
    path = path_of(folder, kind)
    if path.exists():
        rows = pd.concat([pd.read_parquet(path), rows]).drop_duplicates(KEYS, keep="last")
    rows = rows.sort_values(KEYS).astype(dict.fromkeys(MEASURES, np.float32))
    write_whole(path, rows.to_parquet(index=False))


def _missing(
    path: Path,
    kind: Kind,
    variants: Sequence[str],
    seeds: Sequence[int],
    epochs: int,
    device: str,
) -> dict[str, list[int]]:
    """Return by variant the seeds that the kind's file lacks."""
    found: set[tuple[str, int]] = set()
    most = REFERENCE_SEEDS[kind.initialisation]
    if path.exists():
        rows = pd.read_parquet(path)
        counts = rows.groupby(["variant", "seed"])["epoch"].max() + 1
        found = set(counts.index[counts >= epochs])
    missing = {
        name: [seed for seed in seeds if (name, seed) not in found and seed < most]
        for name in variants
        if kind.applies_to(VARIANTS[name], device)
    }
    return {name: lacking for name, lacking in missing.items() if lacking}


def train(kind: Kind, seeds: Mapping[str, Sequence[int]], epochs: int, device: str) -> pd.DataFrame:
    """Train each variant of a kind with its ``seeds``; return the rows of the kind's file.

    It sets environment variables, so it needs a process that has not loaded torch.
    """
    os.environ.update({"OMP_WAIT_POLICY": "passive"} | dict(kind.variables))
    from bench.execution.environment import read_environment, reproducible_settings

    parts = []
    with reproducible_settings(kind.threads):
        environment = asdict(read_environment(device)) | {"device": device}
        for name, of_variant in seeds.items():
            for draw in range(max(1, kind.draws)):
                trainings = _trainings(kind, VARIANTS[name], of_variant, epochs, draw, device)
                # The seed is the one that was asked for, whatever a fault has made of it.
                parts += [
                    training.history.assign(
                        initialisation=kind.initialisation, variant=name, seed=seed, draw=draw
                    )
                    for seed, training in zip(of_variant, trainings, strict=True)
                ]
    name = file_name(kind.name, device, environment["torch_version"])
    rows = distances_of(pd.concat(parts)).assign(kind=name)
    return rows.assign(**{name: environment[name] for name in SOFTWARE})[
        [*KEYS, *MEASURES, *SOFTWARE]
    ]


def add_store(results: Path, folder: Path) -> None:
    """Write the healthy runs of a results folder into the files of their kinds in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, rows in rows_of_store(Store(results).read()).groupby("kind"):
        add_rows(folder, str(kind), rows)


def rows_of_store(contents: Contents) -> pd.DataFrame:
    """Return the rows of a store's healthy runs of the reference seeds, a kind per backend."""
    runs = contents.runs
    healthy = (runs["status"] == OK) & (runs["dtype"] == "float32") & runs["injected_fault"].isna()
    columns = ["run_id", "initialisation", "initial_weights_sha256", *SOFTWARE]
    epochs = contents.epochs.merge(runs.loc[healthy, columns], on="run_id")
    epochs = epochs.merge(
        reference_weights(), on=["initialisation", "variant", "seed", "initial_weights_sha256"]
    )
    rows = distances_of(epochs)
    named = rows[["backend", "device", "torch_version"]].itertuples(index=False)
    rows = rows.assign(kind=[file_name(*names) for names in named])
    rows = rows[rows["seed"] < rows["initialisation"].map(REFERENCE_SEEDS)].assign(draw=0)
    return rows[[*KEYS, *MEASURES, *SOFTWARE]]


def distances_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs' epochs with distances from fastai's runs in place of the measures."""
    keys = ["initialisation", "variant", "seed", "epoch"]
    both = runs.merge(reference_runs(), on=keys, suffixes=("", "_reference"))
    return both.assign(
        **{name: (both[name] - both[f"{name}_reference"]).abs() for name in MEASURES}
    )


def predictions_of(variants: Sequence[str]) -> dict[str, int]:
    """Return how many predictions an accuracy of each variant is the mean of."""
    from hnrnn.stream import language_model_data

    counts = {}
    for name in variants:
        variant = VARIANTS[name]
        batches = language_model_data(variant.bptt).valid
        tokens = sum(y.numel() for _, y in batches)
        counts[name] = tokens // variant.bptt if variant.target == "last" else tokens
    return counts


def _trainings(
    kind: Kind, variant: Variant, seeds: Sequence[int], epochs: int, draw: int, device: str
) -> list[Training]:
    """Train one variant in the way of a kind."""
    epochs = min(epochs, variant.epochs)
    start = kind.initialisation
    moved = {seed: _moved(variant, seed, draw, start) for seed in seeds} if kind.draws else {}
    if kind.backend == ENSEMBLE:
        from bench.ensemble.training import fit_many

        return fit_many(
            variant,
            seeds=seeds,
            dtype=kind.dtype,
            device=device,
            initialisation=start,
            initial_weights=moved,
            epochs=epochs,
        )
    if moved:
        from hnrnn.training import fit

        return [
            fit(
                variant,
                seed=seed,
                device=device,
                initialisation=start,
                initial_weights=moved[seed],
                epochs=epochs,
            )
            for seed in seeds
        ]
    from bench.execution.fitting import fit_run

    backend = variant.backend if kind.backend == NOTEBOOK else kind.backend
    run = Run(variant.name, backend, 0, kind.dtype, start, device, epochs, kind.injected_fault)
    return [fit_run(replace(run, seed=seed)) for seed in seeds]


def _moved(variant: Variant, seed: int, draw: int, start: str = "ones") -> dict[str, Any]:
    """Return the seed's initial weights, each moved up or down by one unit in the last place."""
    from hnrnn.weights import initial_model

    directions = np.random.default_rng((seed, draw))
    return {
        name: np.nextafter(
            weights := parameter.detach().numpy(),
            np.float32(np.inf) * directions.choice((-1, 1), weights.shape).astype(np.float32),
        )
        for name, parameter in initial_model(variant, seed, initialisation=start).named_parameters()
    }
