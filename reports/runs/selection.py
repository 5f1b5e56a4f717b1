"""Which of a store's runs are shown and judged, and notes on the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from bench.plan.grid import BACKENDS
from bench.store.records import DIVERGED, FAILED, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from hnrnn.variants import VARIANTS

KIND = ["dtype", "initialisation"]
"""Options of a training that all runs of a table have in common."""
SETTINGS = [*KIND, "device_name", "torch_version", "fastai_version"]
"""Columns in which all runs of a table must be alike, besides ``source_sha256``."""
JOINT = [name for name, backend in BACKENDS.items() if backend.joint]
OWN_BACKENDS = {name: variant.backend for name, variant in VARIANTS.items()}
NAMED_AT_MOST = 10


@dataclass(frozen=True)
class Selection:
    """The runs to be shown, with their epochs, and what is left out.

    ``runs`` has one row per variant and seed, from the variant's backend with the most seeds.
    ``grid`` has one row per variant, backend and seed that completed the recipe, with ``accuracy``
    and ``valid_loss`` after the last epoch. ``of_kind`` has every run of the same ``KIND``,
    including failed ones, and ``throughput`` every sample.
    """

    runs: pd.DataFrame
    epochs: pd.DataFrame
    grid: pd.DataFrame
    of_kind: pd.DataFrame
    throughput: pd.DataFrame
    left_out: tuple[str, ...]
    """Notes on runs with other settings, and on injected faults."""
    notes: tuple[str, ...]
    """Notes on unreadable files, and on runs that failed or diverged."""

    @property
    def kind(self) -> dict[str, str]:
        """The runs' value in each column of ``KIND``; empty without runs."""
        return {column: str(value) for column in KIND for value in self.runs[column].head(1)}

    @property
    def backends(self) -> dict[str, str]:
        """The backend of each variant's ``runs``, by variant."""
        return dict(zip(self.runs["variant"], self.runs["backend"], strict=True))


def select(contents: Contents, initialisation: str = "ones", dtype: str = "float32") -> Selection:
    """Return the largest group of runs with equal settings, and notes on the rest.

    Runs of ``dtype`` whose BatchNorm weights start as ``initialisation`` says are preferred. If a
    seed was run several times, the run with the most epochs is shown. Runs with an injected fault
    are shown only if every run has the same one.
    """
    notes = [
        f"The file {name} cannot be read: {reason}." for name, reason in contents.unreadable.items()
    ]
    runs, left_out = _without_faults(contents.runs)
    failed = runs[runs["status"] == FAILED]
    notes += [
        f"{row.variant} {row.backend} seed {row.seed} failed: {row.error}"
        for row in failed.head(NAMED_AT_MOST).itertuples()
    ]
    if len(failed) > NAMED_AT_MOST:
        notes.append(f"{len(failed) - NAMED_AT_MOST} more runs failed.")
    trained = runs[~runs["status"].isin([FAILED, SKIPPED])]
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
        f"{row.variant} {row.backend} seed {row.seed} diverged: a loss is not finite, and "
        "counts as larger than any other."
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


def with_runs(contents: Contents, runs: pd.DataFrame) -> Contents:
    """Return ``contents`` with these of its runs only, and their epochs."""
    epochs = contents.epochs[contents.epochs["run_id"].isin(runs["run_id"])]
    return replace(contents, runs=runs.reset_index(drop=True), epochs=epochs.reset_index(drop=True))


def is_whole(runs: pd.DataFrame) -> pd.Series:
    """Say of each run whether it completed its variant's recipe with a result."""
    return ~runs["status"].isin([FAILED, SKIPPED]) & (runs["epochs"] == runs["recipe_epochs"])


def is_joint(runs: pd.DataFrame) -> pd.Series:
    """Say of each run whether its backend trains many seeds together.

    Such runs have another ``source_sha256``, since other modules train them.
    """
    return runs["backend"].isin(JOINT)


def _has(runs: pd.DataFrame, values: Mapping[str, object]) -> pd.Series:
    """Say of each run whether it has these values in these columns."""
    return (runs[list(values)] == pd.Series(values, dtype=object)).all(axis=1)


def _choose(
    runs: pd.DataFrame, wanted: Mapping[str, str]
) -> tuple[dict[str, object], dict[bool, str]]:
    """Return the values of ``SETTINGS`` to be shown, and the ``source_sha256`` by ``is_joint``.

    Both are empty without runs. If any run completed its recipe, only such runs decide.
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
    """Return each variant's runs on the backend with the most seeds, one per seed.

    Seeds that completed the recipe count first; ties go to the notebook's own backend.
    """
    runs = runs.sort_values(["variant", "seed", "epochs", "run_id"])
    runs = runs.drop_duplicates(["variant", "backend", "seed"], keep="last")
    counts = is_whole(runs).groupby([runs["variant"], runs["backend"]]).agg(["sum", "size"])
    counts = counts.reset_index()
    counts["own"] = counts["backend"] == counts["variant"].map(OWN_BACKENDS)
    counts["place"] = counts["backend"].map({name: -n for n, name in enumerate(BACKENDS)})
    best = counts.sort_values(["sum", "size", "own", "place"]).groupby("variant")["backend"].last()
    return runs[runs["backend"] == runs["variant"].map(best)].reset_index(drop=True)


def _with_final_values(runs: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """Return the whole runs with ``accuracy`` and ``valid_loss`` after the last epoch."""
    last = epochs.sort_values("epoch").drop_duplicates("run_id", keep="last")
    joined = runs[is_whole(runs)].merge(last[["run_id", "accuracy", "valid_loss"]], on="run_id")
    key = ["variant", "backend", "seed"]
    return (
        joined.sort_values([*key, "run_id"])
        .drop_duplicates(key, keep="last")
        .reset_index(drop=True)
    )


def _without_faults(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs without a fault, or all if they have the same one, with notes."""
    counts = runs["injected_fault"].value_counts().sort_index()
    if len(counts) == 1 and counts.iloc[0] == len(runs):
        return runs, [f"{counts.index[0]} was injected into every run."]
    notes = [f"Left out: {counted(n, 'run')} with {fault}." for fault, n in counts.items()]
    return runs[runs["injected_fault"].isna()], notes


def _describe(values: object, chosen: dict[str, object]) -> str:
    """Say in which columns a group of runs differs from the chosen one."""
    assert isinstance(values, tuple)  # noqa: S101  # a groupby over several columns
    return ", ".join(
        f"{column} {str(value)[:12]}"
        for column, value in zip([*SETTINGS, "source_sha256"], values, strict=True)
        if value != chosen.get(column) and pd.notna(value)
    )
