"""How many seeds a night needs to detect a fall of a model's accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.statistics.power import seeds_for_drop, smallest_visible_drop
from reports.verdict.baseline import LEVEL


@dataclass(frozen=True)
class SeedPlan:
    """The number of seeds that a configuration needs, estimated from its ``seeds`` at hand.

    ``deviation`` is the standard deviation of the final accuracy over seeds. A night needs
    ``needed`` seeds against a baseline of the same size, and ``needed_with_baseline`` against the
    seeds at hand; None means that no number suffices. ``visible_drop`` is the fall that the seeds
    at hand detect.
    """

    variant: str
    backend: str
    seeds: int
    deviation: float
    needed: int | None
    needed_with_baseline: int | None
    visible_drop: float


def plan_seeds(grid: pd.DataFrame, drop: float, power: float) -> list[SeedPlan]:
    """Return a plan for each configuration that has at least two finite accuracies.

    A configuration of too few seeds for the test is left out where another backend of its variant
    has enough, as the test does.

    ``grid`` has one row per run with ``variant, backend, accuracy``; ``drop`` is a share of 1. A
    fall must be suspected and confirmed, each with probability sqrt(``power``).
    """
    finite = grid.dropna(subset=["accuracy"])
    configurations = [
        (str(variant), str(backend), rows["accuracy"].to_numpy())
        for (variant, backend), rows in finite.groupby(["variant", "backend"])
        if len(rows) > 1
    ]
    tested = {variant for variant, _, accuracy in configurations if _can_reject(len(accuracy))}
    configurations = [
        each for each in configurations if _can_reject(len(each[2])) or each[0] not in tested
    ]
    test: Any = {
        "level": LEVEL,
        "power": math.sqrt(power),
        "columns": 2 * len(configurations),
        "two_sided": True,
    }
    plans = []
    for variant, backend, accuracy in configurations:
        count = len(accuracy)
        needed, with_baseline = (
            seeds_for_drop(accuracy, drop, baseline=baseline, **test) for baseline in (None, count)
        )
        visible = smallest_visible_drop(accuracy, night=count, baseline=count, **test)
        deviation = float(accuracy.std(ddof=1))
        plans.append(SeedPlan(variant, backend, count, deviation, needed, with_baseline, visible))
    return plans


def _can_reject(seeds: int) -> bool:
    """Say whether a two-sided test of as many seeds on either side can reject anything."""
    return math.comb(2 * seeds, seeds) * LEVEL >= 2
