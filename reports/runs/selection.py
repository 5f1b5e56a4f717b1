"""Which of a store's runs the tables are made of, and what has to be said of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.plan.grid import BACKENDS
from bench.store.records import DIVERGED, FAILED, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from hnrnn.variants import VARIANTS

KIND = ["dtype", "initialisation"]
"""What is asked for when runs are trained, and what all runs of a table have in common."""
SETTINGS = [*KIND, "device_name", "torch_version", "fastai_version"]
"""Columns in which all runs of a table must be alike, and in ``source_sha256``."""
BACKEND_ORDER = {name: place for place, name in enumerate(BACKENDS)}
JOINT = [name for name, backend in BACKENDS.items() if backend.joint]
NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Selection:
    """The runs to be shown, with their epochs, and what is left out.

    ``runs`` has one row per variant and seed: a variant's runs are those of the backend that has
    the most seeds. ``grid`` has one row per variant, backend and seed, for all backends, with
    ``accuracy`` and ``valid_loss`` after the last epoch of the full recipe. ``of_kind`` has every
    run of the same ``KIND``, failed ones too; ``throughput`` every sample.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    grid: pd.DataFrame
    of_kind: pd.DataFrame
    throughput: pd.DataFrame
    left_out: tuple[str, ...]
    """What has to be said of runs with other settings, and of injected faults."""
    notes: tuple[str, ...]
    """Files that cannot be read, and runs that failed or diverged."""

    @property
    def kind(self) -> dict[str, str]:
        """The runs' value in each column of ``KIND``; nothing where there are no runs."""
        return {column: str(value) for column in KIND for value in self.runs[column].head(1)}

    @property
    def backends(self) -> dict[str, str]:
        """The backend of each variant's ``runs``, by variant."""
        return dict(zip(self.runs["variant"], self.runs["backend"], strict=True))


def select(contents: Contents, initialisation: str = "ones", dtype: str = "float32") -> Selection:
    """Return the runs that are made alike, and notes on the rest.

    They are the largest group of runs that are alike, of ``dtype`` and with BatchNorm weights
    started as ``initialisation`` says if there are any. Where a seed was run for one epoch and for
    all, the longer run is shown. Runs with an injected fault are shown only where every run has the
    same one.
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
    trained = runs[_is_trained(runs)]
    chosen, sources = _choose(trained, {"dtype": dtype, "initialisation": initialisation})
    expected_sources = is_joint(trained).map(sources)
    alike = _has(trained, chosen) & (trained["source_sha256"] == expected_sources)
    everywhere, others = trained[alike], trained[~alike]
    other_source = others["source_sha256"].where(
        others["source_sha256"] != expected_sources[~alike]
    )
    described = others.assign(source_sha256=other_source).groupby(
        [*SETTINGS, "source_sha256"], dropna=False
    )
    left_out += [
        f"Left out: {counted(count, 'run')} with other settings: {_describe(values, chosen)}."
        for values, count in described.size().items()
    ]
    shown = _of_most_seeds(everywhere)
    notes += [
        f"{row.variant} {row.backend} seed {row.seed} diverged: it has a loss that is not a finite "
        "number, which counts as larger than any other."
        for row in shown[shown["status"] == DIVERGED].itertuples()
    ]
    epochs = contents.epochs[contents.epochs["run_id"].isin(shown["run_id"])]
    return Selection(
        runs=shown,
        epochs=epochs.sort_values(["variant", "seed", "epoch"]).reset_index(drop=True),
        grid=_with_final_values(everywhere, contents.epochs),
        of_kind=runs[_has(runs, {column: chosen[column] for column in KIND if chosen})],
        throughput=contents.throughput,
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _is_trained(runs: pd.DataFrame) -> pd.Series:
    return ~runs["status"].isin([FAILED, SKIPPED])


def is_whole(runs: pd.DataFrame) -> pd.Series:
    """Say of each run whether it went through its variant's full recipe to a result."""
    return _is_trained(runs) & (runs["epochs"] == runs["recipe_epochs"])


def is_joint(runs: pd.DataFrame) -> pd.Series:
    """Say of each run whether its backend trains many seeds together.

    Such runs have a ``source_sha256`` of their own: other modules train them.
    """
    return runs["backend"].isin(JOINT)


def _has(runs: pd.DataFrame, values: Mapping[str, object]) -> pd.Series:
    """Say of each run whether it has these values in these columns."""
    return (runs[list(values)] == pd.Series(values, dtype=object)).all(axis=1)


def _choose(
    runs: pd.DataFrame, wanted: Mapping[str, str]
) -> tuple[dict[str, object], dict[bool, str]]:
    """Return the values of ``SETTINGS`` that are shown, and the sources by ``is_joint``.

    Both are empty where there are no runs. Runs of the full recipe decide, where there are any.
    """
    whole = is_whole(runs)
    deciding = runs[whole] if whole.any() else runs
    for column, value in wanted.items():
        if (deciding[column] == value).any():
            deciding = deciding[deciding[column] == value]
    if deciding.empty:
        return {}, {}
    sizes = deciding.groupby(SETTINGS).size().sort_values(kind="stable")
    chosen = dict(zip(SETTINGS, sizes.index[-1], strict=True))
    sources: dict[bool, str] = {}
    for rows in (runs[_has(runs, chosen)], deciding[_has(deciding, chosen)]):
        for joint, own in rows.groupby(is_joint(rows)):
            sources[bool(joint)] = str(own["source_sha256"].mode().iloc[-1])
    return chosen, sources


def _of_most_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return each variant's runs on the backend of the most seeds, one per seed.

    Seeds that went through the full recipe count first. At a tie it is the notebook's own backend.
    """
    runs = runs.sort_values(["variant", "seed", "epochs", "run_id"])
    runs = runs.drop_duplicates(["variant", "backend", "seed"], keep="last")
    counts = is_whole(runs).groupby([runs["variant"], runs["backend"]]).agg(["sum", "size"])
    best: dict[str, tuple[int, int, bool, int, str]] = {}
    for (variant, backend), whole, seeds in counts.itertuples():
        own = backend == VARIANTS[variant].backend
        rank = (whole, seeds, own, -BACKEND_ORDER[backend], backend)
        best[variant] = max(rank, best.get(variant, rank))
    backends = runs["variant"].map({variant: rank[-1] for variant, rank in best.items()})
    return runs[runs["backend"] == backends].reset_index(drop=True)


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
    """Return the runs without a fault, or all if they have the same one, and notes."""
    counts = runs["injected_fault"].value_counts().sort_index()
    if len(counts) == 1 and counts.iloc[0] == len(runs):
        return runs, [f"{counts.index[0]} was injected into every run."]
    notes = [f"Left out: {counted(n, 'run')} with {fault}." for fault, n in counts.items()]
    return runs[runs["injected_fault"].isna()], notes


def _unreadable_notes(unreadable: dict[str, str]) -> list[str]:
    return [f"The file {name} cannot be read: {reason}." for name, reason in unreadable.items()]


def _describe(values: object, chosen: dict[str, object]) -> str:
    """Say in which columns a group of runs differs from the chosen one."""
    assert isinstance(values, tuple)  # noqa: S101  # a groupby over several columns
    return ", ".join(
        f"{column} {str(value)[:12]}"
        for column, value in zip([*SETTINGS, "source_sha256"], values, strict=True)
        if value != chosen.get(column) and pd.notna(value)
    )
