"""``bench list``: prints every variant, every backend, and what can run here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from itertools import product

from bench.commands.options import Commands, add_device
from bench.plan.grid import BACKENDS
from hnrnn.arguments import Parser
from hnrnn.program import show
from hnrnn.variants import VARIANTS


@dataclass(frozen=True)
class Configuration:
    """One variant on one backend."""

    variant: str
    backend: str
    notebook: bool
    """Whether the notebook runs the variant on this backend."""
    runs_here: bool
    reason: str | None
    """Why it cannot run here, and what it needs."""
    kernel: str | None

    @property
    def mark(self) -> str:
        """The configuration as one character."""
        if not BACKENDS[self.backend].executes(VARIANTS[self.variant]):
            return "."
        return "x" if not self.runs_here else "*" if self.notebook else "+"


def add_parser(commands: Commands[Parser]) -> None:
    listing = commands.add_parser(
        "list",
        help="print every variant and backend, and what can run here",
        description="Print every variant and backend, whether it can run here, and if not, why.",
    )
    add_device(listing)
    listing.add_argument(
        "--json", action="store_true", help="print a JSON list of objects, for programs"
    )
    listing.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    from bench.execution.environment import device_name, find_device  # loads torch

    device = find_device(options.device)
    grid = configurations(device)
    if options.json:
        return show(json.dumps([asdict(configuration) for configuration in grid], indent=2))
    return show(as_text(grid, f"{device} ({device_name(device)})"))


def configurations(device: str) -> list[Configuration]:
    """Return the whole grid as it is on ``cpu`` or ``cuda``, variant by variant."""
    from bench.execution import availability  # loads torch

    grid = []
    for variant, (name, backend) in product(VARIANTS.values(), BACKENDS.items()):
        reason: str | None = backend.needs
        if backend.executes(variant):
            reason = availability.why_unavailable(name, device)
            reason = reason or availability.why_switched_off(name)
        kernel = None if reason else availability.kernel_of(variant, name, device)
        own = variant.backend == name
        grid.append(Configuration(variant.name, name, own, reason is None, reason, kernel))
    return grid


def as_text(grid: list[Configuration], device: str) -> str:
    """Return the grid as a table, with the reasons and descriptions below it."""
    width = max(map(len, BACKENDS))
    head, descriptions = [" " * width + "  " + "  ".join(VARIANTS)], []
    for name, backend in BACKENDS.items():
        row = [each for each in grid if each.backend == name]
        marks = "  ".join(f"{each.mark:^{len(each.variant)}}" for each in row)
        head.append(f"{name:{width}}  {marks}".rstrip())
        descriptions.append(f"{name:{width}}  {backend.description}")
        reason = next((each.reason for each in row if each.mark == "x"), None)
        if reason:
            descriptions.append(f"{'':{width}}  cannot run here: {reason}")
    legend = "* the notebook's own, + runs here, x cannot run here, . needs a recurrent model"
    return "\n".join([f"On {device}:", "", *head, "", legend, "", *descriptions])
