"""Train variants under many seeds, time backends, and keep the results."""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-bench", "bench"))  # before the imports that take seconds

import sys
from collections.abc import Sequence

from bench.commands import compact, ensemble_timing, listing, rounding, run, throughput, verify
from bench.commands.options import report, seeds_joined
from bench.errors import StoreError, UsageError
from bench.signals import Terminated, terminable
from bench.text import one_line
from hnrnn.arguments import Parser
from hnrnn.corpus import CorpusError
from hnrnn.program import INTERRUPTED

COMMANDS = (run, verify, throughput, ensemble_timing, listing, compact, rounding)
TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 if every run is stored, 1 if one failed, 2 for wrong usage, 74 if the output of
    ``list`` or ``verify`` cannot be written, 130 after Ctrl-C and 143 after SIGTERM.
    ``hnrnn.program`` turns an unexpected error into 70.
    """
    parser = make_parser()
    options = parser.parse_args(seeds_joined(sys.argv[1:] if arguments is None else arguments))
    prog = f"{parser.prog} {options.command}"
    try:
        with terminable():
            return int(options.carry_out(options))
    except (UsageError, CorpusError, StoreError) as error:
        report(f"{prog}: {one_line(error)}")
        return 2
    except KeyboardInterrupt as stop:
        kept = "nothing was stored"
        if options.command == "run":
            kept = (
                f"finished runs are stored in {one_line(options.results)}, "
                "and the same command continues from there"
            )
        report(f"\n{prog}: stopped; {kept}")
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def make_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn-bench", "bench"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
