"""``bench compact``: copies a results folder into one file per table, for publishing."""

from __future__ import annotations

import argparse
import sys

from bench.commands.options import Commands, add_results
from bench.text import one_line
from hnrnn.arguments import Parser, folder, output_folder


def add_parser(commands: Commands[Parser]) -> None:
    compact = commands.add_parser(
        "compact",
        help="copy a results folder into one compressed file per table",
        description="Copy a results folder into one compressed file per table, for publishing.",
    )
    add_results(compact, folder)
    compact.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="a new folder"
    )
    compact.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    from bench.store.store import Store  # loads pandas

    written = Store(options.results).compact(options.output)
    print(f"{one_line(written)} written", file=sys.stderr)
    return 0
