"""``reports baseline freeze``: keep a complete night as the baseline of later ones."""

from __future__ import annotations

import argparse
import sys

from bench.store.store import Store
from bench.text import one_line
from hnrnn.arguments import Parser, output_folder
from reports.commands.errors import UsageError
from reports.commands.options import Commands, add_results
from reports.runs.completeness import freezing_problems
from reports.runs.night import Night
from reports.runs.reading import read


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    baseline = commands.add_parser("baseline", help="freeze a night as the baseline of later ones")
    actions = baseline.add_subparsers(dest="action", required=True, parser_class=Parser)
    freeze = actions.add_parser(
        "freeze",
        help="copy a complete night as the baseline of later ones",
        description="Copy a complete and sound results folder, as one file per table.",
    )
    add_results(freeze)
    freeze.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="a new folder"
    )
    freeze.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports baseline freeze``."""
    problems = freezing_problems(Night.of(read(options.results)))
    if problems:
        raise UsageError(
            f"{options.results} cannot be a baseline ({'; '.join(map(str, problems[:5]))}"
            f"{'; ...' if len(problems) > 5 else ''}): complete it with `python -m bench run` first"
        )
    frozen = Store(options.results).compact(options.output)
    print(f"{one_line(frozen)} frozen", file=sys.stderr)
    return 0
