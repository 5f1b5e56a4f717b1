"""One max-T permutation test of the whole grid: a night's final values against a baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from hnrnn.departures import limits_of
from hnrnn.published import rounding
from reports.runs.night import Configuration
from reports.statistics.permutation import (
    LEAST,
    MaxT,
    max_t_test,
    oriented,
    smallest_max_t_p_value,
)
from reports.statistics.power import smallest_visible_drop
from reports.statistics.tolerance import level_for_share

PERMUTATIONS = 9999
SMALL = 0.1
"""How many standard deviations of the seeds rounding may move a value by and still be no change."""
MEASURES = {"accuracy": True, "valid_loss": False}
"""The measures that are tested, and whether larger is better."""

Array = npt.NDArray[np.float64]
Column = tuple[str, str, str]
"""A variant, a backend and a measure."""


@dataclass(frozen=True)
class Difference:
    """One configuration and measure, tonight and in the baseline, with its adjusted p-value."""

    variant: str
    backend: str
    measure: str
    seeds: int
    baseline_seeds: int
    pairs: int
    """How many of these seeds both have."""
    mean: float
    baseline_mean: float
    p: float
    """That of "it is the same as in the baseline": two-sided, and adjusted for the whole grid."""
    worse: bool
    """Whether tonight's values are worse rather than better, as the test ranks them."""
    visible: float
    """The change for the worse that would be suspected with probability ``power.POWER``; NaN where
    there are pairs, or fewer than two finite values."""

    @property
    def configuration(self) -> Configuration:
        """The variant and the backend."""
        return (self.variant, self.backend)

    @property
    def column(self) -> Column:
        """The column of the grid."""
        return (self.variant, self.backend, self.measure)

    @property
    def direction(self) -> str:
        """``worse`` or ``better``."""
        return "worse" if self.worse else "better"


@dataclass(frozen=True)
class GridTest:
    """One test of the grid, at a ``level`` that is ``corrected`` for the baseline's seeds."""

    differences: tuple[Difference, ...]
    level: float
    corrected: float
    enough: bool
    """Whether there are enough seeds for the test to be able to reject."""
    few: tuple[Configuration, ...] = ()
    """Configurations of too few seeds whose variant is tested on another backend."""

    @property
    def suspects(self) -> tuple[Difference, ...]:
        """The differences that are significant, for the worse or the better."""
        return tuple(d for d in self.differences if d.p <= self.corrected)

    @property
    def how(self) -> str:
        """How seeds are compared, in words."""
        pairs = any(d.pairs for d in self.differences)
        if any(d.seeds > d.pairs for d in self.differences):
            others = "between independent seeds"
            return f"seed by seed, and for the other seeds {others}" if pairs else others
        return "seed by seed"


def compare_grids(night: pd.DataFrame, baseline: pd.DataFrame, level: float) -> GridTest:
    """Test all configurations that both have, at ``level`` for the whole grid.

    Each frame has one row per run with ``variant, backend, seed``, and ``accuracy, valid_loss``
    after the last epoch. Seeds that both have are pairs. The others are independent samples, where
    both sides have some. Pairs that rounding explains count as equal. A configuration of too few
    seeds for any permutation to reject it is not tested where another backend of its variant has
    enough: run by run they compute the same.
    """
    ours, theirs = _table(night), _table(baseline)
    columns = [cast("Column", column) for column in ours.columns.intersection(theirs.columns)]
    if not columns:
        return GridTest((), level, level, enough=False)
    seeds = ours.index.union(theirs.index)
    shared = seeds.isin(ours.index) & seeds.isin(theirs.index)
    a, b = (table.reindex(index=seeds, columns=columns).to_numpy() for table in (ours, theirs))
    a = _without_rounding(a, b, columns, night)
    compared = [_compared(*values, shared) for values in zip(a.T, b.T, strict=True)]
    able = np.array([values.least_p_value(1) <= level for values in compared])
    elsewhere = {column[0] for column in compress(columns, able)}
    few = {column[:2] for column in compress(columns, ~able) if column[0] in elsewhere}
    tested = np.array([column[:2] not in few for column in columns])
    columns, compared = [*compress(columns, tested)], [*compress(compared, tested)]
    test = max_t_test(
        a[:, tested], b[:, tested], permutations=PERMUTATIONS, paired=True, two_sided=True
    )
    corrected = _corrected(level, test)
    moved = sum(not np.array_equal(values.ours, values.theirs) for values in compared)
    beside = min(moved + 1, len(columns))  # equal pairs are equal in every permutation
    least = max(values.least_p_value(beside) for values in compared)
    return GridTest(
        differences=tuple(
            _difference(column, values, p, statistic, level, len(columns))
            for column, values, p, statistic in zip(
                columns, compared, test.p_values.tolist(), test.statistics.tolist(), strict=True
            )
        ),
        level=level,
        corrected=corrected,
        enough=least <= corrected,
        few=tuple(sorted(few)),
    )


def _without_rounding(
    ours: Array, theirs: Array, columns: Sequence[Column], night: pd.DataFrame
) -> Array:
    """Return ``ours`` with the values of ``theirs`` where no more than rounding lies between them.

    Rounding may move every seed the same way, by 1e-7, and a test of signs would find that. What it
    moves by more than ``SMALL`` standard deviations of the seeds, as in a chaotic model, it moves
    either way, so that the test is right without this.
    """
    limits = _limits_of_rounding(night)
    limit = np.array([limits.get((variant, measure), np.nan) for variant, _, measure in columns])
    deviations = pd.DataFrame(theirs).replace([np.inf, -np.inf], np.nan).std().to_numpy()
    with np.errstate(invalid="ignore"):  # a diverged run is infinite on both sides
        same = np.abs(ours - theirs) <= np.minimum(limit, SMALL * deviations)
    return np.where(same, theirs, ours)


def _limits_of_rounding(night: pd.DataFrame) -> dict[tuple[str, str], float]:
    """Return how far rounding moves the final values of the night's variants and measures."""
    known = rounding()
    if "initialisation" in night:
        known = known[known["initialisation"].isin(night["initialisation"])]
    last = known[known["epoch"] == known.groupby("variant")["epoch"].transform("max")]
    furthest = limits_of(last).groupby([last["variant"], last["column"]]).max()
    return cast("dict[tuple[str, str], float]", furthest.to_dict())


class _Compared(NamedTuple):
    """The values of one column that are compared; the first ``pairs`` are those of pairs."""

    ours: Array
    theirs: Array
    pairs: int

    def least_p_value(self, columns: int) -> float:
        """Return a p-value that the column can reach, adjusted for so many ``columns``."""
        return smallest_max_t_p_value(
            len(self.ours) - self.pairs,
            len(self.theirs) - self.pairs,
            pairs=self.pairs,
            columns=columns,
            permutations=PERMUTATIONS,
            two_sided=True,
        )


def _compared(ours: Array, theirs: Array, shared: npt.NDArray[np.bool_]) -> _Compared:
    """Select from a column with one row per seed; ``shared`` are the seeds that both sides have."""
    here, there = ~np.isnan(ours), ~np.isnan(theirs)
    pairs, alone = here & there, (here & ~shared, there & ~shared)
    if not (alone[0].any() and alone[1].any()):
        return _Compared(ours[pairs], theirs[pairs], int(pairs.sum()))
    ours, theirs = (
        np.concatenate([values[pairs], values[own]])
        for values, own in zip((ours, theirs), alone, strict=True)
    )
    return _Compared(ours, theirs, int(pairs.sum()))


def _corrected(level: float, test: MaxT) -> float:
    """Return the level that is kept whatever the columns' shares of the baseline's variance.

    It is lowest for a share of one half, and rises to either side.
    """
    shares = np.round(test.baseline_shares, 3)  # so that levels are found in the cache
    least, most = float(shares.min()), float(shares.max())
    columns = 2 * len(shares)
    return min(
        level_for_share(level, share, columns=columns)
        for share in {least, most, min(max(least, 0.5), most)}
    )


def _table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the final values by seed and (variant, backend, measure); larger is worse."""
    measured = runs[["variant", "backend", "seed"]].copy()
    for measure, larger_is_better in MEASURES.items():
        measured[measure] = oriented(runs[measure], larger_is_better=larger_is_better)
    long = measured.melt(["variant", "backend", "seed"], var_name="measure")
    return long.pivot_table(
        index="seed", columns=["variant", "backend", "measure"], values="value", aggfunc="first"
    )


def _difference(
    column: Column, values: _Compared, p: float, statistic: float, level: float, columns: int
) -> Difference:
    variant, backend, measure = column
    sign = -1 if MEASURES[measure] else 1
    means = [
        float(sign * each.mean()) if len(each) else np.nan for each in (values.ours, values.theirs)
    ]
    return Difference(
        variant=variant,
        backend=backend,
        measure=measure,
        seeds=len(values.ours),
        baseline_seeds=len(values.theirs),
        pairs=values.pairs,
        mean=means[0],
        baseline_mean=means[1],
        p=p,
        worse=statistic > 0,
        visible=_visible(values, level, columns),
    )


def _visible(values: _Compared, level: float, columns: int) -> float:
    if values.pairs or min(len(values.ours), np.isfinite(values.theirs).sum()) < LEAST:
        return np.nan
    return smallest_visible_drop(
        -values.theirs,  # larger is worse here, so that what is worse is a fall of these
        night=len(values.ours),
        baseline=len(values.theirs),
        level=level,
        columns=columns,
        two_sided=True,
    )
