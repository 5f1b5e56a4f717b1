"""How far a run is from the reference run of its seed, in units of the rounding spread.

A seed fixes the initial weights on every device. Two right executions of one seed therefore differ
by rounding only, and what the losses after the first epochs differ by is far smaller than what a
fault does.

    found = departures(distances(epochs, reference_runs()), rounding(), rounding_by_seed())
    of_configurations(found, by=["variant", "backend"])

``hnrnn.distances`` makes the distances. Every function takes and returns data frames. A *cell* is
one start, variant, epoch and column (one of ``hnrnn.published.MEASURES``). What is known of healthy
executions:

- Most of them are about one *spread* from the reference, some 4e-7.
- A few *jump*: a ReLU that rounding has flipped moves a loss by up to 1e-3. That happens to some
  seeds far more often than to others. So each seed that was measured often has a limit of its own,
  ``MARGIN`` times the furthest of its healthy executions, and of the spread.
- The *limit* of a cell is ``MARGIN`` times the furthest healthy execution of any seed, and of the
  spread.

A fault moves every seed, a jump moves a few. Runs of several seeds depart in a cell if

1. at least ``SHARE`` of the seeds with a limit of their own are beyond it, and so many would jump
   there with a probability of at most ``LEVEL``, or
2. at least ``SHARE`` of all seeds are beyond the cell's limit, or so many that they all would have
   jumped with a probability of at most ``LEVEL`` if healthy runs were beyond it as often as
   ``JUMP_RATE``, or
3. more than one in ``ODD_ONE_IN`` of them is beyond ``FAR`` times the cell's limit: with fewer
   seeds than that, a single one, or
4. a single one is beyond ``HUGE`` times the cell's limit, or is no number, however many there are.

A single seed departs by 2 only: it must be beyond anything that rounding was ever seen to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count

import numpy as np
import pandas as pd
from scipy.special import bdtrc

from hnrnn.published import MEASURES

SAME_DIGITS = "same digits"
"""Every value of every epoch equals the reference's, as far as the reference's digits go."""
SAME_TO_ROUNDING = "same to rounding"
ANOTHER_COMPUTATION = "another computation"
UNEXPLAINED = "unexplained"
"""Further than rounding has ever been seen, but on a device where it was never measured, or a lone
seed whose reference is our own published run, which may have jumped itself."""
NO_REFERENCE = "no reference"

CELL = ["initialisation", "variant", "epoch", "column"]
MARGIN = 3.0
SHARE = 0.8
LEVEL = 1e-4
JUMP_RATE = 0.05
"""A share of healthy runs beyond the limit of a cell, on purpose above any that was measured."""
FAR = 10.0
ODD_ONE_IN = 20
HUGE = 1000.0
WIDER = 10.0
"""How many times wider the limits are on a device where rounding was never measured."""


def departures(
    distances: pd.DataFrame, rounding: pd.DataFrame, by_seed: pd.DataFrame
) -> pd.DataFrame:
    """Return the distances in units of the rounding spread, and the limits.

    ``distances`` is what ``hnrnn.distances.distances`` returns.
    ``rounding`` is ``hnrnn.published.rounding()``: per cell the ``spread``, the ``furthest``
    healthy distance, and the ``jump_rate``, the share of healthy runs that are beyond the limit of
    their own seed. ``by_seed`` is ``hnrnn.published.rounding_by_seed()``: per cell and seed the
    furthest healthy distance.

    The result has ``spread``, ``departure`` (distance / spread), ``limit``, ``own_limit`` and
    ``jump_rate`` beside the columns of ``distances``; NaN where the cell, or the seed, is unknown.
    """
    found = distances.merge(
        rounding[[*CELL, "spread", "furthest", "jump_rate"]],
        on=CELL,
        how="left",
        validate="many_to_one",
    )
    found = found.merge(
        by_seed[[*CELL, "seed", "furthest"]].rename(columns={"furthest": "own"}),
        on=[*CELL, "seed"],
        how="left",
        validate="many_to_one",
    ).astype({"own": float})
    own = found["own"].where(found["own"].isna(), found[["own", "spread"]].max(axis=1))
    return found.assign(
        departure=found["distance"] / found["spread"],
        limit=limits_of(found),
        own_limit=MARGIN * own,
    ).drop(columns=["own", "furthest"])


def limits_of(rounding: pd.DataFrame) -> pd.Series:
    """Return the limit of each cell, from its ``furthest`` healthy distance and its ``spread``."""
    return MARGIN * rounding[["furthest", "spread"]].max(axis=1, skipna=False)


def needed(seeds: int) -> int:
    """Return how many of ``seeds`` must be beyond their limits in a cell for it to depart."""
    return math.ceil(SHARE * seeds - 1e-9)


@cache
def needed_of_all(seeds: int) -> int:
    """Return how many of ``seeds`` must be beyond the limit of a cell for it to depart."""
    too_many = next(jumps for jumps in count(1) if chance(seeds, JUMP_RATE, jumps) <= LEVEL)
    return min(needed(seeds), too_many)


def one(_seeds: int) -> int:
    """Return that one seed suffices, however many there are."""
    return 1


def needed_far_beyond(seeds: int) -> int:
    """Return how many of ``seeds`` must be far beyond the limit of a cell for it to depart."""
    return seeds // ODD_ONE_IN + 1


def chance(seeds: int, jump_rate: float, jumps: int) -> float:
    """Return the probability that ``jumps`` or more of so many healthy seeds jump."""
    return float(bdtrc(jumps - 1, seeds, jump_rate))


def of_cells(departures: pd.DataFrame, by: Sequence[str], *, wider: float = 1.0) -> pd.DataFrame:
    """Return one verdict per cell for the runs that share the columns ``by``, one run per seed.

    ``wider`` is ``WIDER`` for a device where rounding was never measured: what is beyond a limit,
    but not beyond it so many times, is then ``UNEXPLAINED``. The columns of the result are ``by``,
    ``epoch``, ``column``, ``seeds``, ``same``, the medians ``distance`` and ``departure``,
    ``limit``, ``seeds_beyond`` (their own limit, or the cell's where they have none), ``nearness``
    and ``verdict``, in the order of ``by``, epoch and ``MEASURES``. ``nearness`` is by how much the
    limits could be multiplied, so that the cell would just not depart; NaN for an unknown cell.
    ``undecided`` says whether more seeds have to decide: enough are beyond their own limits, but so
    few that all may have jumped; or half, but at least two, are beyond the cell's, and more are
    needed.
    ``furthest`` is the largest departure, and ``furthest_times`` the largest in units of the limit.

    Where a column ``lone`` of ``departures`` is false, the reference may have jumped too. Such a
    run does not depart by rule 3, and alone it is at most ``UNEXPLAINED``.

    Raises ValueError for a column of ``by`` with empty values.
    """
    keys = [*by, "epoch", "column"]
    empty = [name for name in by if departures[name].isna().any()]
    if empty:
        raise ValueError(f"runs cannot be told apart by {', '.join(empty)}: it has empty values")
    found = _in_limits(departures)
    cells = found.groupby(keys, observed=True).agg(
        seeds=("distance", "size"),
        own_seeds=("own_limit", "count"),
        same=("same", "all"),
        distance=("distance", "median"),
        departure=("departure", "median"),
        limit=("limit", "first"),
        jump_rate=("jump_rate", "first"),
        seeds_beyond=("beyond", "sum"),
        beyond_limit=("beyond_limit", "sum"),
        lone=("lone", "any"),
        furthest=("departure", "max"),
        furthest_times=("of_limit", "max"),
    )
    by_own = _decisive(found, "of_own", keys)
    cells["nearness"] = _nearness(found, cells, by_own, keys)
    many = cells["beyond_limit"] >= np.maximum(2, cells["seeds"] / 2)
    cells["undecided"] = ((by_own > 1) | many) & (cells["nearness"] <= 1)
    decided = cells["lone"] | (cells["seeds"] > 1)
    cells["verdict"] = np.select(
        [(cells["nearness"] > wider) & decided, cells["nearness"] > 1.0],
        [ANOTHER_COMPUTATION, UNEXPLAINED],
        SAME_TO_ROUNDING,
    )
    return cells.drop(columns=["own_seeds", "jump_rate", "beyond_limit", "lone"]).reset_index()


def _in_limits(departures: pd.DataFrame) -> pd.DataFrame:
    """Return departures with the distances in units of their limits, and which are beyond."""
    found = departures.assign(
        column=pd.Categorical(departures["column"], MEASURES, ordered=True),
        of_own=departures["distance"] / departures["own_limit"],
        of_limit=departures["distance"] / departures["limit"],
        lone=departures["lone"].astype(bool) if "lone" in departures else True,
    )
    return found.assign(
        beyond=found["of_own"].fillna(found["of_limit"]) > 1,
        beyond_limit=found["of_limit"] > 1,
        of_lone=found["of_limit"].where(found["lone"]),
    )


def _nearness(
    found: pd.DataFrame, cells: pd.DataFrame, by_own: pd.Series, keys: list[str]
) -> pd.Series:
    """Return for each cell the largest factor of the limits with which a rule just holds.

    ``by_own`` is that of rule 1, which counts only where so many seeds cannot all have jumped.
    """
    usable = [
        seeds > 0 and chance(seeds, rate, needed(seeds)) <= LEVEL
        for seeds, rate in zip(cells["own_seeds"], cells["jump_rate"], strict=True)
    ]
    by_rule = [
        by_own.where(np.array(usable, dtype=bool)),
        _decisive(found, "of_limit", keys, needed_of_all),
        _decisive(found, "of_lone", keys, needed_far_beyond) / FAR,
        _decisive(found, "of_limit", keys, one) / HUGE,
    ]
    return pd.concat(by_rule, axis="columns").max(axis="columns")


def _decisive(
    found: pd.DataFrame, ratio: str, keys: list[str], required: Callable[[int], int] = needed
) -> pd.Series:
    """Return for each group the largest ``ratio`` that the required number of its seeds reach.

    Seeds without a ratio (NaN) do not count; a group of nothing else has NaN.
    """
    ordered = found.sort_values(ratio, ascending=False)  # NaN comes last
    groups = ordered.groupby(keys, observed=True)
    places = groups[ratio].transform("count").map(required) - 1
    chosen = ordered[groups.cumcount() == places.clip(lower=0)]
    return chosen.set_index(keys)[ratio].sort_index()


def of_configurations(
    departures: pd.DataFrame, by: Sequence[str], *, wider: float = 1.0
) -> pd.DataFrame:
    """Return one verdict for the runs that share the columns ``by``, combined over their seeds.

    ``by`` and ``wider`` are those of ``of_cells``. One row of its cells stands for each group: the
    first that is another computation, or unexplained; where none is, the nearest to its limit. A
    group has ``NO_REFERENCE`` if rounding knows none of its cells. ``undecided`` is that of any
    cell, where the group departs in none.
    """
    by = list(by)
    cells = of_cells(departures, by, wider=wider)
    severity = cells["verdict"].map({ANOTHER_COMPUTATION: 2, UNEXPLAINED: 1, SAME_TO_ROUNDING: 0})
    worst = severity.groupby([cells[name] for name in by], observed=True).transform("max")
    cells = cells.assign(
        departs=severity.where(severity == worst, -1),
        # Of cells that depart the first counts, of others the nearest to its limit.
        order=np.where(worst > 0, -np.arange(len(cells)), cells["nearness"].fillna(-1.0)),
    )
    known = cells.groupby(by, observed=True)["nearness"].transform("count") > 0
    undecided = cells.groupby(by, observed=True)["undecided"].transform("any")
    cells["undecided"] = undecided & (worst == 0)
    bits = cells.groupby(by, observed=True)["same"].transform("all")
    cells["verdict"] = cells["verdict"].mask(bits, SAME_DIGITS).mask(~known, NO_REFERENCE)
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
