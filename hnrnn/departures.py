"""How far a run is from the reference run of its seed, in units of the rounding spread.

A seed fixes the initial weights on every device. Two right executions of one seed therefore differ
by rounding only, and what the losses after the first epochs differ by is far smaller than what a
fault does. ``hnrnn.published.rounding`` says how far healthy executions are apart.

    reference = reference_runs()
    found = departures(distances(epochs, reference), rounding())
    of_configurations(found, by=["variant", "backend"])

Every function takes and returns data frames. A *cell* is one variant, epoch and column (one of
``MEASURES``); rounding has one row per cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from hnrnn.published import MEASURES

SAME_BITS = "same bits"
"""Every value of every epoch equals the reference's, in all digits that the reference has."""
SAME_TO_ROUNDING = "same to rounding"
ANOTHER_COMPUTATION = "another computation"
UNEXPLAINED = "unexplained"
"""Further than rounding has ever been seen, but on a device where it was never measured."""
NO_REFERENCE = "no reference"

CELL = ["variant", "epoch", "column"]
SEED_COUNTS = (1, 2, 3, 5, 10)
"""Numbers of seeds that limits are given for; a number between has the limit of the next below."""
SHARE = 0.8
"""The share of the seeds that must be beyond their limit: a fault moves every seed."""
FAR = 10.0
"""Limits of one seed beyond which a single run departs, however many others do not."""
WIDER = 10.0
"""How many times wider the limits are on a device where rounding was never measured."""
DIGITS = 7
"""Significant digits of the published reference runs."""


def distances(
    epochs: pd.DataFrame, reference: pd.DataFrame, *, digits: int | None = DIGITS
) -> pd.DataFrame:
    """Return how far each value of ``epochs`` is from the reference's, one row per value.

    Both have one row per epoch, with the columns ``initialisation``, ``variant``, ``seed``,
    ``epoch`` and those of ``MEASURES``; ``reference`` has a seed once. ``digits`` is how many
    significant digits the reference has; None where it is complete.

    The result keeps the other columns of ``epochs`` and has, in place of the measures, ``column``,
    ``value``, ``reference``, ``distance`` (infinite for a value that is no number) and ``same``
    (whether all digits are equal). Epochs without a reference have no row.
    """
    keys = ["initialisation", "variant", "seed", "epoch"]
    measures = list(MEASURES)
    both = epochs.merge(
        reference[keys + measures], on=keys, suffixes=("", "_reference"), validate="many_to_one"
    )
    kept = both.columns.difference(
        [*measures, *(f"{name}_reference" for name in measures)], sort=False
    )
    parts = []
    for name in measures:
        value = both[name].to_numpy(float)
        expected = both[f"{name}_reference"].to_numpy(float)
        distance = np.abs(value - expected)
        distance[~np.isfinite(distance)] = np.inf
        parts.append(
            both[kept].assign(
                column=name,
                value=value,
                reference=expected,
                distance=distance,
                same=distance <= _half_of_last_digit(expected, digits),
            )
        )
    return pd.concat(parts, ignore_index=True)


def _half_of_last_digit(
    values: npt.NDArray[np.float64], digits: int | None
) -> npt.NDArray[np.float64]:
    """Return the largest error of numbers that are rounded to so many digits, (n,)."""
    if digits is None:
        return np.zeros(len(values))
    exponents = np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    return 0.5001 * 10.0 ** (exponents - digits + 1)  # a little more, because binary is not decimal


def departures(distances: pd.DataFrame, rounding: pd.DataFrame) -> pd.DataFrame:
    """Return the distances in units of the rounding spread, and their cells' limits.

    ``rounding`` is ``hnrnn.published.rounding()``: per cell the ``spread``, and ``limit_1``,
    ``limit_2`` ... for the numbers of seeds in ``SEED_COUNTS``, in the column's own unit, NaN where
    the cell is not used. The result has ``departure`` (distance / spread), ``spread`` and the
    limits beside the columns of ``distances``. A cell that rounding does not know has NaN.
    """
    columns = [*CELL, "spread", *(limit_name(count) for count in SEED_COUNTS)]
    found = distances.merge(rounding[columns], on=CELL, how="left", validate="many_to_one")
    return found.assign(departure=found["distance"] / found["spread"])


def limit_name(seeds: int) -> str:
    """Return the column of ``rounding`` with the limits for so many seeds."""
    return f"limit_{max(count for count in SEED_COUNTS if count <= seeds)}"


def needed(seeds: int) -> int:
    """Return how many of ``seeds`` must be beyond the limit of a cell for it to depart."""
    return math.ceil(SHARE * seeds - 1e-9)


def of_cells(departures: pd.DataFrame, by: Sequence[str], *, wider: float = 1.0) -> pd.DataFrame:
    """Return one verdict per cell for the runs that share the columns ``by``, one per seed.

    With n seeds a cell departs if at least ``needed(n)`` are beyond its limit for n seeds, or if
    one of them is beyond ``FAR`` limits of one seed: a fault moves every seed, a jump of rounding
    moves a few by a little. ``wider`` is ``WIDER`` for a device where rounding was never measured.

    The columns of the result are ``by``, ``epoch``, ``column``, ``seeds``, ``seeds_beyond``,
    ``same``, the medians ``distance`` and ``departure``, ``limit``, ``nearness`` (in units of the
    limit, how far the seed is that is further than all but ``needed(n)`` - 1 of them; NaN where the
    cell is not used) and ``verdict``, in the order of ``by``, epoch and ``MEASURES``.
    """
    keys = [*by, "epoch", "column"]
    found = departures.assign(column=pd.Categorical(departures["column"], MEASURES, ordered=True))
    found = found.sort_values([*keys, "distance"], ascending=[True] * len(keys) + [False])
    groups = found.groupby(keys, observed=True, dropna=False)
    found["seeds"] = groups["distance"].transform("size")
    found["limit"] = np.nan
    for count in SEED_COUNTS:
        found["limit"] = found["limit"].where(found["seeds"] < count, found[limit_name(count)])
    found["beyond"] = found["distance"] > found["limit"]
    decisive = found[groups.cumcount() + 1 == found["seeds"].map(needed)]
    cells = groups.agg(
        seeds=("distance", "size"),
        seeds_beyond=("beyond", "sum"),
        same=("same", "all"),
        distance=("distance", "median"),
        departure=("departure", "median"),
        limit=("limit", "first"),
        largest=("distance", "first"),
        far=(limit_name(1), "first"),
    ).reset_index()
    cells["nearness"] = decisive["distance"].to_numpy() / cells["limit"]
    excess = np.fmax(cells["nearness"], cells["largest"] / (FAR * cells["far"]))
    cells["verdict"] = np.select(
        [excess > wider, excess > 1.0], [ANOTHER_COMPUTATION, UNEXPLAINED], SAME_TO_ROUNDING
    )
    return cells.drop(columns=["largest", "far"])


def of_configurations(
    departures: pd.DataFrame, by: Sequence[str], *, wider: float = 1.0
) -> pd.DataFrame:
    """Return one verdict for the runs that share the columns ``by``, combined over their seeds.

    ``by`` and ``wider`` are those of ``of_cells``. One row of its cells stands for each group: the
    first that is another computation, or unexplained; where none is, the nearest to its limit. A
    group has ``NO_REFERENCE`` if no cell of it is used.
    """
    by = list(by)
    cells = of_cells(departures, by, wider=wider)
    severity = cells["verdict"].map({ANOTHER_COMPUTATION: 2, UNEXPLAINED: 1, SAME_TO_ROUNDING: 0})
    worst = severity.groupby([cells[name] for name in by], observed=True, dropna=False).transform(
        "max"
    )
    cells = cells.assign(
        departs=severity.where(severity == worst, -1),
        # Of cells that depart the first counts, of others the nearest to its limit.
        order=np.where(worst > 0, -np.arange(len(cells)), cells["nearness"].fillna(-1.0)),
    )
    used = cells.groupby(by, observed=True, dropna=False)["nearness"].transform("count") > 0
    bits = cells.groupby(by, observed=True, dropna=False)["same"].transform("all")
    cells["verdict"] = cells["verdict"].mask(bits, SAME_BITS).mask(~used, NO_REFERENCE)
    chosen = cells.sort_values([*by, "departs", "order"], kind="stable").drop_duplicates(
        by, keep="last"
    )
    return chosen.drop(columns=["departs", "order", "same"]).reset_index(drop=True)


def of_runs(
    departures: pd.DataFrame, by: Sequence[str] = ("run_id",), *, wider: float = 1.0
) -> pd.DataFrame:
    """Return the verdict of each run on its own: ``of_configurations`` of one seed each.

    ``by`` names the columns that tell runs apart.
    """
    return of_configurations(departures, by, wider=wider)


def reasons_without_reference(runs: pd.DataFrame, weights: pd.DataFrame) -> pd.Series:
    """Return for each run why it has no reference run; None where it has one.

    ``runs`` has one row per run with ``initialisation``, ``variant``, ``seed``, ``dtype`` and
    ``initial_weights_sha256``; ``weights`` is ``hnrnn.published.reference_weights()``, or the same
    columns of other runs. The result has the index of ``runs``.
    """
    keys = ["initialisation", "variant", "seed"]
    known = weights.set_index(keys)["initial_weights_sha256"]
    expected = known.reindex(pd.MultiIndex.from_frame(runs[keys])).to_numpy()
    reasons = np.full(len(runs), None, dtype=object)
    reasons[runs["initial_weights_sha256"].to_numpy() != expected] = "other initial weights"
    reasons[pd.isna(expected)] = "no reference run of its seed"
    reasons[(runs["dtype"] != "float32").to_numpy()] = "the reference runs are in float32"
    return pd.Series(reasons, index=runs.index, name="reason", dtype=object)
