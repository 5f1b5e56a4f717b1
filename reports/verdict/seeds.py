"""``python -m reports power``: how many seeds a model needs to see a fall of its accuracy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from reports.pages.tables import NO_VALUE, table
from reports.statistics.power import seeds_for_drop, smallest_visible_drop
from reports.verdict.baseline import LEVEL


@dataclass(frozen=True)
class SeedPlan:
    """What a square's seeds at hand say of the numbers of seeds that are needed.

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
    """Return a plan a square that has two finite accuracies or more.

    ``grid`` has a row a run with ``variant, backend, accuracy``; ``drop`` is a share. A fall has
    to be suspected and confirmed, each with the root of ``power``.
    """
    finite = grid.dropna(subset=["accuracy"])
    squares = [
        (str(variant), str(backend), rows["accuracy"].to_numpy())
        for (variant, backend), rows in finite.groupby(["variant", "backend"])
        if len(rows) > 1
    ]
    plans = []
    for variant, backend, accuracy in squares:
        count, stage = len(accuracy), {"level": LEVEL, "power": math.sqrt(power)}
        needed, with_baseline = (
            seeds_for_drop(accuracy, drop, baseline=baseline, columns=2 * len(squares), **stage)
            for baseline in (None, count)
        )
        visible = smallest_visible_drop(
            accuracy, night=count, baseline=count, columns=2 * len(squares), **stage
        )
        deviation = float(accuracy.std(ddof=1))
        plans.append(SeedPlan(variant, backend, count, deviation, needed, with_baseline, visible))
    return plans


def as_text(plans: list[SeedPlan], drop: float, power: float) -> str:
    """Return the plans as a table with what they hold for."""
    rows = [
        [
            plan.variant,
            plan.backend,
            str(plan.seeds),
            f"{100 * plan.deviation:.2f}",
            _count(plan.needed),
            _count(plan.needed_with_baseline),
            NO_VALUE if math.isinf(plan.visible_drop) else f"{100 * plan.visible_drop:.2f}",
        ]
        for plan in plans
    ]
    header = [
        "model", "backend", "seeds at hand", "deviation, points",
        f"seeds for {100 * drop:g} points", "against these seeds", "these see, points",
    ]  # fmt: skip
    return (
        f"Seeds a night to see the mean final accuracy of a square fall by {100 * drop:g} points "
        f"with probability {power:g}, suspected and then confirmed on as many fresh seeds. Each "
        f"stage errs in at most {LEVEL:.0%} of nights over the whole grid, both together in about "
        f"{LEVEL**2:.2%}: one false alarm in {1 / LEVEL**2:.0f} nights.\n\n"
        + table(header, rows, left=2)
    )


def _count(seeds: int | None) -> str:
    return "none suffices" if seeds is None else str(seeds)
