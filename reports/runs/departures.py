"""Runs held against the reference runs of their seeds.

fastai 1.0.61's own runs come first. A seed beyond them has our published runs as a second
reference. No run is a reference of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from bench.plan.grid import BACKENDS
from bench.store.records import FAILED, SKIPPED
from bench.store.store import EPOCHS, RUNS, Contents
from hnrnn import departures, published
from hnrnn.distances import DIGITS, NO_SEED, OTHER_WEIGHTS, reasons_without_reference
from hnrnn.distances import distances as distances_from
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS

FASTAI, OURS = "fastai 1.0.61", "our published runs"
FOLDER = Path(__file__).parents[1] / "published"
SETS = ("cpu", "ensemble")
"""Our published sets; the first that has a seed is its reference."""

SEED = ["initialisation", "variant", "seed"]
CONFIGURATION = ["variant", "backend", "initialisation", "device"]
ALIKE = [*CONFIGURATION, "device_name", "torch_version", "source_sha256"]
"""The columns in which runs are alike that are judged together."""
NO_HASH = "their initial weights are not recorded"
NO_EPOCHS = "no epoch of theirs is recorded"


@dataclass(frozen=True)
class Reference:
    """Runs that others are held against, one per start, variant and seed.

    ``runs`` has ``initial_weights_sha256`` by ``SEED``, ``epochs`` the measures by ``SEED`` and
    epoch. ``digits`` is how many significant digits these have; None for all.
    """

    name: str
    runs: pd.DataFrame
    epochs: pd.DataFrame
    digits: int | None


@dataclass(frozen=True)
class Held:
    """Runs beside their reference runs.

    ``cells`` is what ``hnrnn.departures.departures`` returns, with the columns ``run_id``, those of
    ``ALIKE``, ``reference_name``, and ``lone`` (whether a lone run that departs is a failure: our
    published runs may have jumped themselves).
    ``unheld`` has one row per run that is not held, with its ``reason``, and the ``reference_name``
    of the reference that has its seed; empty where none has.
    """

    cells: pd.DataFrame
    unheld: pd.DataFrame


def hold(runs: pd.DataFrame, epochs: pd.DataFrame, references: Iterable[Reference]) -> Held:
    """Hold each run against the first reference that has its seed.

    ``runs`` and ``epochs`` are a store's. A reference is asked for only while runs are left whose
    seed no earlier one has.
    """
    left, reasons = runs, pd.Series(NO_SEED, index=runs.index, dtype=object)
    names = pd.Series("", index=runs.index, dtype=object)
    parts = []
    for reference in references:
        found = reasons_without_reference(left, reference.runs)
        unknown = left["initial_weights_sha256"].isna() & (found == OTHER_WEIGHTS)
        found[unknown] = NO_HASH
        part = distances(left[found.isna()], epochs, reference.epochs, reference.digits)
        parts.append(part.assign(reference_name=reference.name, lone=reference.name != OURS))
        found[found.isna() & ~left["run_id"].isin(part["run_id"])] = NO_EPOCHS
        reasons.update(found.fillna(""))
        names[found.index[found != NO_SEED]] = reference.name
        left = left[found == NO_SEED]
        if left.empty:
            break
    cells = in_spreads(pd.concat(parts, ignore_index=True))
    unheld = runs[reasons != ""]
    own = {"reason": reasons[unheld.index], "reference_name": names[unheld.index]}
    return Held(cells, unheld.assign(**own))


def distances(
    runs: pd.DataFrame, epochs: pd.DataFrame, reference: pd.DataFrame, digits: int | None
) -> pd.DataFrame:
    """Return how far the epochs of ``runs`` are from those of their seeds in ``reference``.

    The arguments are as in ``hold``; the result is what ``hnrnn.distances.distances`` returns.
    """
    own = epochs[["run_id", "epoch", *MEASURES]].merge(
        runs[[*ALIKE, "seed", "run_id"]], on="run_id"
    )
    return distances_from(own, reference, digits=digits)


def in_spreads(distances: pd.DataFrame) -> pd.DataFrame:
    """Return distances in units of the published rounding spread, with their limits."""
    return departures.departures(distances, published.rounding(), published.rounding_by_seed())


def trained_runs(contents: Contents, fault: str | None = None) -> pd.DataFrame:
    """Return the runs that went to an end, with this injected fault or with none.

    Of several trainings of one seed that are alike, the longest.
    """
    runs = contents.runs[~contents.runs["status"].isin([FAILED, SKIPPED])]
    faults = runs["injected_fault"]
    runs = runs[faults.isna() if fault is None else faults == fault]
    ordered = runs.sort_values(["variant", "backend", "seed", "epochs", "run_id"])
    return ordered.drop_duplicates([*ALIKE, "dtype", "seed"], keep="last")


def references(tonight: pd.DataFrame) -> Iterator[Reference]:
    """Yield fastai's runs, then our published ones without those that are tonight's own."""
    yield Reference(FASTAI, published.reference_weights(), published.reference_runs(), DIGITS)
    for name in SETS:
        if (FOLDER / name / RUNS).is_dir():
            runs, epochs = published_set(FOLDER / name)
            others = runs[~runs["run_id"].isin(tonight["run_id"])]
            yield Reference(OURS, others, epochs[epochs["run_id"].isin(others["run_id"])], None)


@cache
def published_set(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the runs and epochs of a published set, one run per start, variant and seed.

    A seed's run is that on the notebook's backend, or the ensemble's.
    """
    columns = ["run_id", "backend", "initial_weights_sha256", *SEED]
    runs = pd.read_parquet(folder / RUNS, columns=columns)
    own = runs["variant"].map({name: variant.backend for name, variant in VARIANTS.items()})
    joint = runs["backend"].map({name: backend.joint for name, backend in BACKENDS.items()})
    runs = runs[(runs["backend"] == own) | joint]
    epochs = pd.read_parquet(folder / EPOCHS, columns=["run_id", "epoch", *MEASURES])
    return runs, epochs.merge(runs[["run_id", *SEED]], on="run_id")


def fault_distances(folder: Path = FOLDER / "rounding" / "faults") -> pd.DataFrame:
    """Return how far runs with injected faults were from their reference runs.

    One row per ``kind``, ``variant``, ``seed`` and ``epoch`` with the distances of each measure;
    empty where nothing is published.
    """
    parts = [pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))]
    columns = ["kind", "variant", "seed", "epoch", *MEASURES]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def measured_devices() -> set[str]:
    """Return the devices on which the rounding spread was measured."""
    rounding = published.rounding()
    return set(" ".join(rounding["devices"]).split()) if "devices" in rounding else {"cpu"}


def by_device(
    judge: Callable[..., pd.DataFrame], cells: pd.DataFrame, by: list[str]
) -> pd.DataFrame:
    """Judge cells by ``hnrnn.departures.of_configurations``, or another function of that module.

    The limits are wider where the rounding spread was never measured.
    """
    known = cells["device"].isin(measured_devices())
    parts = [
        judge(part, by, wider=wider)
        for part, wider in ((cells[known], 1.0), (cells[~known], departures.WIDER))
        if len(part)
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
