"""How many seeds a model needs, for a night to see a fall of its accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from reports.statistics.power import seeds_for_drop, smallest_visible_drop
from reports.verdict.baseline import LEVEL


@dataclass(frozen=True)
class SeedPlan:
    """What a configuration's seeds at hand say of the numbers of seeds that are needed.

    ``deviation`` is the standard deviation of the final accuracy over seeds; ``needed`` the seeds
    of a night against as large a baseline, ``needed_with_baseline`` against one of the seeds at
    hand, None where no number suffices; ``visible_drop`` what a night of the seeds at hand sees.
    """

    variant: str
    backend: str
    seeds: int
    deviation: float
    needed: int | None
    needed_with_baseline: int | None
    visible_drop: float


def plan_seeds(grid: pd.DataFrame, drop: float, power: float) -> list[SeedPlan]:
    """Return a plan for each configuration that has two finite accuracies or more.

    ``grid`` has one row per run with ``variant, backend, accuracy``; ``drop`` is a share. A fall
    has to be suspected and confirmed, each with the root of ``power``.
    """
    finite = grid.dropna(subset=["accuracy"])
    configurations = [
        (str(variant), str(backend), rows["accuracy"].to_numpy())
        for (variant, backend), rows in finite.groupby(["variant", "backend"])
        if len(rows) > 1
    ]
    plans = []
    for variant, backend, accuracy in configurations:
        count, stage = len(accuracy), {"level": LEVEL, "power": math.sqrt(power)}
        needed, with_baseline = (
            seeds_for_drop(
                accuracy, drop, baseline=baseline, columns=2 * len(configurations), **stage
            )
            for baseline in (None, count)
        )
        visible = smallest_visible_drop(
            accuracy, night=count, baseline=count, columns=2 * len(configurations), **stage
        )
        deviation = float(accuracy.std(ddof=1))
        plans.append(SeedPlan(variant, backend, count, deviation, needed, with_baseline, visible))
    return plans
