"""Is a night worse than a frozen baseline: really, and not by seed variance?

One max-T permutation test over all configurations of the grid and both measures, final accuracy
and final validation loss, at a level that is corrected for the baseline's own seed variance. What
it suspects is confirmed, or not, on fresh seeds: a regression is what both stages reject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from reports.runs.night import Configuration
from reports.verdict.stage import Difference, Stage, compare_grids

LEVEL = 0.05
"""The level of each stage for the whole grid: both together err about once in 400 nights."""
EQUAL, SUSPECTED, REGRESSED, INCONCLUSIVE = "equal", "suspected", "regressed", "inconclusive"


@dataclass(frozen=True)
class Comparison:
    """A night held against a baseline."""

    first: Stage
    confirmation: Stage | None
    verdict: str


def hold_against_baseline(
    night: pd.DataFrame,
    baseline: pd.DataFrame,
    confirmation: pd.DataFrame | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Hold a night against a baseline, and what is suspected against fresh seeds where there are.

    Each has one row per run with ``variant, backend, seed, accuracy, valid_loss``, the
    last two after the last epoch. Only configurations that both have are tested.
    """
    first = compare_grids(night, baseline, level)
    comparison = Comparison(first=first, confirmation=None, verdict=_verdict(first, None))
    return comparison if confirmation is None else confirm(comparison, confirmation, baseline)


def confirm(comparison: Comparison, fresh: pd.DataFrame, baseline: pd.DataFrame) -> Comparison:
    """Compare fresh seeds of the suspected configurations with the same baseline.

    ``fresh`` has the columns of ``hold_against_baseline``. A comparison that suspects nothing is
    returned unchanged.
    """
    first = comparison.first
    if not first.worse:
        return comparison
    configurations = {difference.configuration for difference in first.worse}
    second = compare_grids(_of(fresh, configurations), baseline, first.level)
    return replace(comparison, confirmation=second, verdict=_verdict(first, second))


def _verdict(first: Stage, second: Stage | None) -> str:
    if not first.worse:
        return EQUAL if first.enough else INCONCLUSIVE
    if second is None:
        return SUSPECTED
    if second.worse:
        return REGRESSED
    # Clearing a suspicion takes at least half as many seeds as raised it.
    many = 2 * _seeds(second.differences) >= _seeds(first.worse)
    return EQUAL if second.enough and many else SUSPECTED


def _seeds(differences: Sequence[Difference]) -> int:
    return max((difference.seeds for difference in differences), default=0)


def _of(runs: pd.DataFrame, configurations: set[Configuration]) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(runs[["variant", "backend"]])
    return runs[keys.isin(list(configurations))]
