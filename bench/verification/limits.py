"""The rounding spread and the limits that follow from measured healthy kinds.

``hnrnn.departures`` says how they are used. A healthy run has one row per epoch, with its ``kind``,
``initialisation``, ``variant``, ``seed`` and ``draw``, and distances in place of the measures.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from hnrnn.departures import CELL, MARGIN
from hnrnn.published import MEASURES

OF_SEED = [*CELL, "seed"]
OFTEN = 5
"""The number of healthy runs that gives a seed its own limit."""


def in_cells(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per run, epoch and column, with its ``distance``."""
    keys = ["kind", "initialisation", "variant", "seed", "draw", "epoch"]
    cells = runs.melt(keys, list(MEASURES), var_name="column", value_name="distance")
    return cells.astype({"distance": float})


def spread_of(cells: pd.DataFrame, predictions: Mapping[str, int]) -> pd.DataFrame:
    """Return the spread of each cell: the median distance of the kind whose median is largest.

    A loss's is at least 1e-7, the last digit of a reference below 1. An accuracy's is at least one
    of the variant's ``predictions``: most runs have none that differs.
    """
    medians = cells.groupby([*CELL, "kind"])["distance"].median()
    spread = medians.groupby(CELL).max().rename("spread").reset_index()
    of_accuracy = 1 / spread["variant"].map(predictions)
    least = of_accuracy.where(spread["column"] == "accuracy", 1e-7)
    return spread.assign(spread=spread["spread"].clip(lower=least))


def seeds_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the ``furthest`` distance of each seed in each cell, where it was measured often."""
    found: pd.DataFrame = cells.groupby(OF_SEED)["distance"].agg(["max", "size"]).reset_index()
    found = found.rename(columns={"max": "furthest", "size": "runs"})
    return found.loc[found["runs"] >= OFTEN, [*OF_SEED, "furthest"]]


def jumps_of(
    cells: pd.DataFrame, predictions: Mapping[str, int], families: Mapping[str, str]
) -> pd.DataFrame:
    """Return which healthy runs are beyond the limit of their seed that the other kinds give.

    Kinds of one family, by ``families``, are left out together. The result has the rows of
    ``cells`` whose seed has a limit, with ``jumps``.
    """
    parts = []
    of_family = cells["kind"].map(families)
    for family in of_family.unique():
        others, own = cells[of_family != family], cells[of_family == family]
        limits = seeds_of(others).merge(spread_of(others, predictions), on=CELL)
        found = own.merge(limits, on=OF_SEED)
        limit = MARGIN * found[["furthest", "spread"]].max(axis=1)
        parts.append(found.assign(jumps=found["distance"] > limit))
    jumps: pd.DataFrame = pd.concat(parts)
    return jumps.drop(columns=["furthest", "spread"])


def rounding_table(
    runs: pd.DataFrame, predictions: Mapping[str, int], families: Mapping[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return ``rounding.csv`` and ``rounding_by_seed.csv`` from healthy runs.

    The first has one row per cell: ``spread``, ``furthest``, ``jump_rate``, how many ``kinds``
    and ``runs`` there are, and on which ``devices``, with spaces between them. The jump rate counts
    each seed of a kind once, however often it was drawn, and one jump more than there were, because
    none seen does not mean that there are none. It is NaN where no seed has a limit of its own.
    """
    cells = in_cells(runs)
    of_kinds = jumps_of(cells, predictions, families).groupby([*CELL, "kind"])
    jumps = of_kinds["jumps"].mean() * of_kinds["seed"].nunique()
    rate = (jumps.groupby(CELL).sum() + 1) / (of_kinds["seed"].nunique().groupby(CELL).sum() + 1)
    groups = cells.groupby(CELL)
    counts = groups.agg(
        furthest=("distance", "max"), kinds=("kind", "nunique"), runs=("distance", "size")
    )
    counts["devices"] = " ".join(sorted(runs["device"].unique()))
    table = spread_of(cells, predictions).merge(counts, on=CELL)
    return _ordered(table.merge(rate.rename("jump_rate"), on=CELL, how="left")), _ordered(
        seeds_of(cells)
    )


def _ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows by start, variant, epoch and column, with four digits."""
    places = pd.Categorical(table["column"], MEASURES, ordered=True)
    keys = [name for name in (*CELL, "seed") if name in table]
    rows = table.assign(column=places).sort_values(keys, ignore_index=True)
    rows = rows.astype({"column": str})
    numbers = [name for name in ("spread", "furthest", "jump_rate") if name in rows]
    return rows.assign(**{name: [_rounded(value) for value in rows[name]] for name in numbers})


def _rounded(value: float) -> float:
    return float(np.format_float_scientific(value, 3)) if np.isfinite(value) else value
