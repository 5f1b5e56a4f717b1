"""Show the runs of a results folder beside the notebook's, and judge them."""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-reports", "reports"))  # before the imports that take seconds

import sys
from collections.abc import Sequence

from bench.errors import StoreError
from bench.text import one_line
from hnrnn.arguments import Parser
from hnrnn.program import UNWRITTEN
from reports.commands import (
    baseline,
    calibrate,
    check,
    compare,
    judge,
    power,
    render,
    site,
    third_party,
)
from reports.commands.errors import UnwrittenError, UsageError
from reports.verdict.findings import FindingsError

COMMANDS = (render, check, power, calibrate, baseline, site, third_party, judge, compare)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    ``check`` returns 0 agrees, 1 regressed or differs, 3 incomplete or corrupt data, 4
    inconclusive; ``compare`` 0 not worse, 1 worse, and the same 3 and 4; the other commands return
    0. All return 2 for wrong usage (``judge`` for a file that it cannot read too), and 74 where a
    result cannot be written. An unexpected error is
    raised: ``hnrnn.program`` gives it an exit code that no verdict has.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.carry_out(options))
    except (StoreError, FindingsError, UsageError, UnwrittenError) as error:
        words = (parser.prog, options.command, getattr(options, "action", ""))
        print(f"{' '.join(filter(None, words))}: {one_line(error)}", file=sys.stderr)
        return UNWRITTEN if isinstance(error, UnwrittenError) else 2


def make_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn-reports", "reports"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
