"""Does a night differ from a frozen baseline by more than seed variance?

One two-sided max-T permutation test over all configurations of the grid and both measures, final
accuracy and final validation loss, at a level that is corrected for the baseline's own seed
variance. What it suspects is confirmed, or not, on fresh seeds: a regression is what both tests
find worse, a change what both find better.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from reports.runs.night import Configuration
from reports.verdict.grid_test import MEASURES, Difference, GridTest, compare_grids

LEVEL = 0.05
"""The level of each test for the whole grid; docs/statistics.md says how often both err."""
EQUAL, SUSPECTED, REGRESSED = "equal", "suspected", "regressed"
CHANGED, INCONCLUSIVE = "changed", "inconclusive"


@dataclass(frozen=True)
class Comparison:
    """A night held against a baseline."""

    first: GridTest
    confirmation: GridTest | None
    verdict: str
    not_cleared: str = ""
    """Why fresh seeds that do not confirm a suspicion cannot rule it out either."""

    @property
    def confirmed(self) -> tuple[Difference, ...]:
        """What fresh seeds confirm: the same configuration is again worse, or again better."""
        if self.confirmation is None:
            return ()
        suspected = {(d.configuration, d.worse) for d in self.first.suspects}
        found = self.confirmation.suspects
        return tuple(d for d in found if (d.configuration, d.worse) in suspected)


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
    verdict = SUSPECTED if first.suspects else EQUAL if first.enough else INCONCLUSIVE
    comparison = Comparison(first, None, verdict)
    return comparison if confirmation is None else confirm(comparison, confirmation, baseline)


def confirm(comparison: Comparison, fresh: pd.DataFrame, baseline: pd.DataFrame) -> Comparison:
    """Compare fresh seeds of the suspected configurations with the baseline's seeds.

    ``fresh`` has the columns of ``hold_against_baseline``, and so has ``baseline``, which may hold
    runs of the fresh seeds too: these are pairs. A comparison that suspects nothing is returned
    unchanged.

    Fresh seeds clear what they do not confirm if they are half as many or more as raised the
    suspicion, differ neither way, and rule out a difference as large as the suspected one.
    """
    first = comparison.first
    if not first.suspects:
        return comparison
    fresh = _of(fresh, {difference.configuration for difference in first.suspects})
    second = compare_grids(fresh, baseline, first.level)
    found = replace(comparison, confirmation=second)
    if any(difference.worse for difference in found.confirmed):
        return replace(found, verdict=REGRESSED)
    if found.confirmed:
        return replace(found, verdict=CHANGED)
    few = 2 * _seeds(second.differences) < _seeds(first.suspects)
    if not few and not second.suspects and _rule_out(first, fresh, baseline):
        return replace(found, verdict=EQUAL)
    why = "there are too few of them"
    if second.suspects:
        why = "they differ the other way"
    elif not few and second.how != first.how:
        why = f"they are compared {second.how}, and what is suspected {first.how}"
    return replace(found, verdict=SUSPECTED, not_cleared=why)


def _rule_out(first: GridTest, fresh: pd.DataFrame, baseline: pd.DataFrame) -> bool:
    """Say whether fresh seeds show that nothing differs by as much as is suspected.

    They are moved back by the suspected differences. If these were real, they would then be like
    the baseline's seeds, and would be found on the other side of them in ``first.level`` of nights.
    """
    moved = fresh.astype(dict.fromkeys(MEASURES, float))
    for each in first.suspects:
        own = (moved["variant"] == each.variant) & (moved["backend"] == each.backend)
        moved.loc[own, each.measure] -= each.mean - each.baseline_mean
    held = compare_grids(moved, baseline, first.level)
    opposite = {(d.column, not d.worse) for d in held.differences if d.p <= first.level}
    return all((d.column, d.worse) in opposite for d in first.suspects)


def _seeds(differences: Sequence[Difference]) -> int:
    return max((difference.seeds for difference in differences), default=0)


def _of(runs: pd.DataFrame, configurations: set[Configuration]) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(runs[["variant", "backend"]])
    return runs[keys.isin(list(configurations))]
