"""``bench list``: every variant, every backend, and what can run here."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

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
    """Why it cannot run here, and what it would need."""
    kernel: str | None
    """What would execute the recurrence."""


def configurations(device: str) -> list[Configuration]:
    """Return the whole grid as it is on ``device``, ``cpu`` or ``cuda``, variant by variant."""
    return [
        _configuration(variant, backend, device) for variant in VARIANTS for backend in BACKENDS
    ]


def _configuration(variant: str, backend: str, device: str) -> Configuration:
    from bench.execution.availability import (
        kernel_of,
        why_switched_off,
        why_unavailable,
    )  # loads torch

    reason: str | None = BACKENDS[backend].needs
    if BACKENDS[backend].executes(VARIANTS[variant]):
        reason = why_unavailable(backend, device) or why_switched_off(backend)
    return Configuration(
        variant=variant,
        backend=backend,
        notebook=VARIANTS[variant].backend == backend,
        runs_here=reason is None,
        reason=reason,
        kernel=None if reason else kernel_of(VARIANTS[variant], backend, device),
    )


def as_json(grid: list[Configuration]) -> str:
    """Return the grid as a JSON list of objects, for programs."""
    return json.dumps([asdict(configuration) for configuration in grid], indent=2)


def as_text(grid: list[Configuration], device_text: str) -> str:
    """Return the grid as a table for people, with the reasons and descriptions below."""
    width = max(map(len, BACKENDS))
    lines = [f"On {device_text}:", "", " " * width + "  " + "  ".join(VARIANTS)]
    for backend in BACKENDS:
        row = {
            configuration.variant: configuration
            for configuration in grid
            if configuration.backend == backend
        }
        cells = (f"{_mark(row[variant]):^{len(variant)}}" for variant in VARIANTS)
        lines.append(f"{backend:{width}}  {'  '.join(cells)}".rstrip())
    lines += [
        "",
        "* the notebook's own, + runs here, x cannot run here, . needs a recurrent model",
        "",
    ]
    for name, backend_row in BACKENDS.items():
        lines.append(f"{name:{width}}  {backend_row.description}")
        reason = next((s.reason for s in grid if s.backend == name and _mark(s) == "x"), None)
        if reason:
            lines.append(f"{'':{width}}  cannot run here: {reason}")
    return "\n".join(lines)


def _mark(configuration: Configuration) -> str:
    if not BACKENDS[configuration.backend].executes(VARIANTS[configuration.variant]):
        return "."
    if not configuration.runs_here:
        return "x"
    return "*" if configuration.notebook else "+"


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    listing = commands.add_parser(
        "list",
        help="every variant and backend, and what can run here",
        description="Print every variant and backend, whether it can run here, and if not, why.",
    )
    add_device(listing)
    listing.add_argument(
        "--json", action="store_true", help="print a JSON list of objects, for programs"
    )
    listing.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench list``."""
    from bench.execution.environment import device_name, find_device

    device = find_device(options.device)
    grid = configurations(device)
    if options.json:
        return show(as_json(grid))
    return show(as_text(grid, f"{device} ({device_name(device)})"))
