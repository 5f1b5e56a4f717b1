"""``reports power``: how many seeds a night needs to see a fall of the accuracy."""

from __future__ import annotations

import argparse
import math

from hnrnn.arguments import Number, Parser
from hnrnn.program import show
from reports.commands.errors import UsageError
from reports.commands.options import Commands, add_results
from reports.pages.tables import NO_VALUE, table_of
from reports.runs.night import Night
from reports.runs.reading import read
from reports.statistics.power import POWER
from reports.verdict.baseline import LEVEL
from reports.verdict.seeds import SeedPlan, plan_seeds


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    power = commands.add_parser(
        "power",
        help="how many seeds a night needs to see a fall of the accuracy",
        description="Say how many seeds each configuration needs to see its accuracy fall, at the "
        "level of `check`, from the spread of the seeds at hand.",
    )
    add_results(power)
    for option, kind, default, metavar, what in (
        ("--drop", Number(0.01, 99), 1.0, "POINTS", "percentage points"),
        ("--power", Number(0.25, 0.999), POWER, "P", "probability of seeing it"),
    ):
        power.add_argument(
            option, type=kind, default=default, metavar=metavar,
            help=f"{what}, %(type)s; default: {default:g}",
        )  # fmt: skip
    power.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports power``."""
    plans = plan_seeds(
        Night.of(read(options.results)).selection.grid, options.drop / 100, options.power
    )
    if not plans:
        raise UsageError(
            f"{options.results} has no configuration with two runs of the full recipe: "
            "`python -m bench run` makes some"
        )
    return show(as_text(plans, options.drop / 100, options.power))


def as_text(plans: list[SeedPlan], drop: float, power: float) -> str:
    """Return the plans as a table with what they hold for."""
    lines = table_of(
        plans,
        [
            ("model", lambda plan: plan.variant),
            ("backend", lambda plan: plan.backend),
            (f"seeds for {100 * drop:g} points", lambda plan: _count(plan.needed)),
            ("against these seeds", lambda plan: _count(plan.needed_with_baseline)),
            ("these see, points", lambda plan: _points(plan.visible_drop)),
            ("deviation, points", lambda plan: _points(plan.deviation)),
            ("seeds at hand", lambda plan: str(plan.seeds)),
        ],
        text=("model", "backend"),
    )
    return (
        f"Seeds per night to see the mean final accuracy fall by {100 * drop:g} points "
        f"with probability {power:g}, suspected and then confirmed on as many fresh seeds. Each "
        f"of the two tests has the level of `check`: {LEVEL:.0%} over the whole grid.\n\n{lines}"
    )


def _points(share: float) -> str:
    return NO_VALUE if math.isinf(share) else f"{100 * share:.2f}"


def _count(seeds: int | None) -> str:
    return "no number" if seeds is None else str(seeds)
