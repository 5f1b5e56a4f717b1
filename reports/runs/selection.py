"""Which of a store's runs the tables are made of, and what has to be said of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.store.records import DIVERGED, FAILED, SKIPPED
from bench.store.store import Contents
from hnrnn.variants import VARIANTS

COMPARABLE = [
    "dtype",
    "initialisation",
    "engine",
    "device_name",
    "torch_version",
    "fastai_version",
    "source_sha256",
]
"""Columns in which all runs of one table must be alike."""
KIND = ["dtype", "initialisation", "engine"]
"""Those of them that are asked for, and not found where the runs are trained."""

NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Selection:
    """The runs to be shown, one a variant and seed, their epochs, with what is not.

    ``grid`` has the runs made alike, on all backends, one a variant, backend and seed,
    with ``accuracy`` and ``valid_loss`` after the last epoch of the full recipe; ``throughput``
    every sample.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    grid: pd.DataFrame
    throughput: pd.DataFrame
    left_out: tuple[str, ...]
    """What is said of runs of other kinds: those that are not shown, and one that alone is."""
    notes: tuple[str, ...]
    """What else is not shown, or not as it was meant."""

    @property
    def kind(self) -> dict[str, str]:
        """The runs' value in each column of ``KIND``; nothing where there are no runs."""
        return {column: str(value) for column in KIND for value in self.runs[column].head(1)}


def select(
    contents: Contents,
    initialisation: str = "ones",
    engine: str | None = None,
    dtype: str = "float32",
) -> Selection:
    """Return the runs on the notebook's backends made alike, and notes on the rest.

    They are of the largest group made alike, among those of ``dtype`` with BatchNorm weights
    started as ``initialisation`` says, and of ``engine`` where one is named, if there are any.
    Where a seed was run for one epoch and for all, the longer run is shown. Runs with something
    injected are shown only where every run has the same faulty.
    """
    notes = _unreadable_notes(contents.unreadable)
    runs, left_out = _without_faults(contents.runs)
    failed = runs[runs["status"] == FAILED]
    notes += [
        f"{row.variant} {row.backend} seed {row.seed} failed: {row.error}"
        for row in failed.head(NAMED_AT_MOST).itertuples()
    ]
    if len(failed) > NAMED_AT_MOST:
        notes.append(f"{len(failed) - NAMED_AT_MOST} more runs failed.")
    everywhere = runs[_is_trained(runs)]
    runs = _on_own_backends(everywhere)
    chosen = _choose(runs, initialisation, engine, dtype)
    alike = _is_alike(runs, chosen)
    shown, others = runs[alike], runs[~alike]
    everywhere = everywhere[_is_alike(everywhere, chosen)]
    left_out += [
        f"{count} runs of other settings are left out: {_describe(values, chosen)}."
        for values, count in others.groupby(COMPARABLE).size().items()
    ]
    shown = (
        shown.sort_values(["variant", "seed", "epochs", "run_id"])
        .drop_duplicates(["variant", "seed"], keep="last")
        .reset_index(drop=True)
    )
    notes += [
        f"{row.variant} {row.backend} seed {row.seed} diverged: it has a loss that is no finite "
        "number, counted as larger than any."
        for row in shown[shown["status"] == DIVERGED].itertuples()
    ]
    epochs = contents.epochs[contents.epochs["run_id"].isin(shown["run_id"])]
    epochs = epochs.sort_values(["variant", "seed", "epoch"]).reset_index(drop=True)
    grid = _with_final_values(everywhere, contents.epochs)
    return Selection(shown, epochs, grid, contents.throughput, tuple(left_out), tuple(notes))


def _is_trained(runs: pd.DataFrame) -> pd.Series:
    return ~runs["status"].isin([FAILED, SKIPPED])


def is_whole(runs: pd.DataFrame) -> pd.Series:
    """Say of each run whether it went through its variant's full recipe to a result."""
    return _is_trained(runs) & (runs["epochs"] == runs["recipe_epochs"])


def _is_alike(runs: pd.DataFrame, values: Mapping[str, object]) -> pd.Series:
    """Say of each run whether it has these values in these columns; all have none in none."""
    return (runs[list(values)] == pd.Series(values, dtype=object)).all(axis=1)


def _on_own_backends(runs: pd.DataFrame) -> pd.DataFrame:
    own_backend = runs["variant"].map({v.name: v.backend for v in VARIANTS.values()})
    return runs[runs["backend"] == own_backend]


def _choose(
    runs: pd.DataFrame,
    initialisation: str = "ones",
    engine: str | None = None,
    dtype: str = "float32",
) -> dict[str, object]:
    """Return the values of ``COMPARABLE`` that are shown of ``runs``; nothing where there are none.

    Runs of the full recipe decide, where there are any.
    """
    whole = is_whole(runs)
    runs = runs[whole] if whole.any() else runs
    wanted = {"dtype": dtype, "initialisation": initialisation, "engine": engine}
    for column, value in wanted.items():
        if value is not None and (runs[column] == value).any():
            runs = runs[runs[column] == value]
    if not len(runs):
        return {}
    sizes = runs.groupby(COMPARABLE).size().sort_values(kind="stable")
    return dict(zip(COMPARABLE, sizes.index[-1], strict=True))


def of_shown_kind(runs: pd.DataFrame) -> pd.DataFrame:
    """Return those of a store's runs, failed ones too, that are of the ``KIND`` that is shown."""
    runs, _ = _without_faults(runs)
    chosen = _choose(_on_own_backends(runs[_is_trained(runs)]))
    return runs[_is_alike(runs, {column: chosen[column] for column in KIND if chosen})]


def other_kinds(runs: pd.DataFrame) -> dict[str, int]:
    """Return how many whole runs of a store are of kinds that are not shown, by kind.

    BatchNorm's other start is no other kind here: a report shows it beside.
    """
    runs, _ = _without_faults(runs)
    shown = of_shown_kind(runs)
    others = runs[is_whole(runs) & ~runs.index.isin(shown.index)]
    if shown.empty or others.empty:
        return {}
    first = shown.iloc[0]
    others = others[others["initialisation"] == first["initialisation"]]
    found: dict[str, int] = {}
    for row in others[["dtype", "engine"]].to_dict(orient="records"):
        kind = ", ".join(f"{name} {value}" for name, value in row.items() if value != first[name])
        found[kind] = found.get(kind, 0) + 1
    return found


def epochs_started(contents: Contents, initialisation: str) -> pd.DataFrame:
    """Return the epochs that ``select`` takes with this start; none where no run has it."""
    selection = select(contents, initialisation)
    started = (selection.runs["initialisation"] == initialisation).all()
    return selection.epochs if started else selection.epochs.iloc[:0]


def _with_final_values(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs of full recipes with ``accuracy`` and ``valid_loss`` after the last epoch."""
    complete = runs[is_whole(runs)]
    last = epochs.sort_values("epoch").drop_duplicates("run_id", keep="last")
    joined = complete.merge(last[["run_id", "accuracy", "valid_loss"]], on="run_id")
    return (
        joined.sort_values(["variant", "backend", "seed", "run_id"])
        .drop_duplicates(["variant", "backend", "seed"], keep="last")
        .reset_index(drop=True)
    )


def _without_faults(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs with nothing faulty, or all if they have the same faulty, and notes."""
    counts = runs["injected_fault"].value_counts().sort_index()
    if len(counts) == 1 and counts.iloc[0] == len(runs):
        return runs, [f"{counts.index[0]} was injected in all {len(runs)} runs."]
    notes = [
        f"{injected_fault} was injected in {n} runs, which are left out."
        for injected_fault, n in counts.items()
    ]
    return runs[runs["injected_fault"].isna()], notes


def _unreadable_notes(unreadable: dict[str, str]) -> list[str]:
    return [f"The file {name} cannot be read: {reason}." for name, reason in unreadable.items()]


def _describe(values: object, chosen: dict[str, object]) -> str:
    """Say in which columns a group of runs differs from the chosen one."""
    assert isinstance(values, tuple)  # noqa: S101  # a groupby over several columns
    return ", ".join(
        f"{column} {str(value)[:12]}"
        for column, value in zip(COMPARABLE, values, strict=True)
        if value != chosen[column]
    )
