"""One max-T permutation test of the whole grid: a night's final values against a baseline's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.runs.night import Configuration
from reports.statistics.permutation import LEAST, MaxT, max_t_test, oriented
from reports.statistics.power import smallest_visible_drop
from reports.statistics.tolerance import corrected_level

PERMUTATIONS = 9999
MEASURES = {"accuracy": True, "valid_loss": False}
"""The measures that are tested, and whether larger is better."""

Column = tuple[str, str, str]
"""A variant, a backend and a measure."""


@dataclass(frozen=True)
class Difference:
    """One configuration and measure, tonight and in the baseline, with adjusted p-values."""

    variant: str
    backend: str
    measure: str
    seeds: int
    baseline_seeds: int
    mean: float
    baseline_mean: float
    worse_p: float
    better_p: float
    visible: float
    """The change for the worse that would be suspected with probability 0.9; NaN for pairs, or for
    fewer than two finite values."""

    @property
    def configuration(self) -> Configuration:
        """The variant and the backend."""
        return (self.variant, self.backend)


@dataclass(frozen=True)
class Stage:
    """One test of the grid, at a ``level`` that is ``corrected`` for the baseline's seeds."""

    differences: tuple[Difference, ...]
    level: float
    corrected: float
    paired: bool
    """Whether the same seeds are compared, pair by pair."""
    enough: bool
    """Whether there are enough seeds for the test to be able to reject."""

    @property
    def worse(self) -> tuple[Difference, ...]:
        """The differences that are significantly worse."""
        return tuple(d for d in self.differences if d.worse_p <= self.corrected)

    @property
    def better(self) -> tuple[Difference, ...]:
        """The differences that are significantly better."""
        return tuple(d for d in self.differences if d.better_p <= self.corrected)


def compare_grids(night: pd.DataFrame, baseline: pd.DataFrame, level: float) -> Stage:
    """Test all configurations that both have, at ``level`` for the whole grid.

    Each frame has one row per run with ``variant, backend, seed``, and ``accuracy, valid_loss``
    after the last epoch.
    """
    ours, theirs = _table(night), _table(baseline)
    columns = [cast("Column", column) for column in ours.columns.intersection(theirs.columns)]
    if not columns:
        return Stage((), level, level, paired=False, enough=False)
    ours, theirs = ours[columns], theirs[columns]
    both = ours.index.intersection(theirs.index)
    # Seeds that both have are pairs, the others are independent. The larger part is tested.
    paired = 2 * len(both) >= len(ours)
    ours = ours.loc[both] if paired else ours.drop(index=both)
    theirs = theirs.loc[both] if paired else theirs
    a, b = ours.to_numpy(), theirs.to_numpy()
    worse = max_t_test(a, b, permutations=PERMUTATIONS, paired=paired)
    better = max_t_test(-a, -b, permutations=PERMUTATIONS, paired=paired)
    counts, baseline_counts = (~np.isnan(a)).sum(axis=0), (~np.isnan(b)).sum(axis=0)
    corrected = corrected_level(
        level,
        night=max(1, int(counts.max())),
        baseline=max(1, int(baseline_counts.min())),
        columns=len(columns),
    )
    return Stage(
        differences=_differences(columns, a, b, worse, better, level=None if paired else level),
        level=level,
        corrected=corrected,
        paired=paired,
        enough=_least_p_value(a, b, paired=paired) <= corrected,
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


def _differences(
    columns: Sequence[Column],
    ours: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64],
    worse: MaxT,
    better: MaxT,
    level: float | None,
) -> tuple[Difference, ...]:
    """Return the differences column by column; ``level`` is None for pairs."""
    found = []
    for index, (variant, backend, measure) in enumerate(columns):
        sign = -1 if MEASURES[measure] else 1
        a, b = (table[~np.isnan(table[:, index]), index] for table in (ours, theirs))
        found.append(
            Difference(
                variant=variant,
                backend=backend,
                measure=measure,
                seeds=len(a),
                baseline_seeds=len(b),
                mean=float(sign * a.mean()) if len(a) else np.nan,
                baseline_mean=float(sign * b.mean()) if len(b) else np.nan,
                worse_p=float(worse.p_values[index]),
                better_p=float(better.p_values[index]),
                visible=np.nan if level is None else _visible(a, b, level, len(columns)),
            )
        )
    return tuple(found)


def _visible(
    ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], level: float, columns: int
) -> float:
    if min(len(ours), np.isfinite(theirs).sum()) < LEAST:
        return np.nan
    return smallest_visible_drop(
        theirs, night=len(ours), baseline=len(theirs), level=level, columns=columns
    )


def _least_p_value(
    night: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64], *, paired: bool
) -> float:
    """Return the smallest p-value that every column can reach.

    Both have shape (seeds, columns), with NaN for a missing seed. The smallest p-value of a column
    is one labelling of its rows out of all.
    """
    here, there = ~np.isnan(night), ~np.isnan(baseline)
    if paired:
        here = there = here & there
    counts = [*zip(here.sum(axis=0).tolist(), there.sum(axis=0).tolist(), strict=True)]
    if min(map(min, counts)) < LEAST:
        return 1.0
    labellings = min(2**n if paired else math.comb(n + m, n) for n, m in counts)
    return 1 / min(labellings, 1 + PERMUTATIONS)
