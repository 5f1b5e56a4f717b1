"""``bench ensemble-timing``: times one seed after the other beside an ensemble."""

from __future__ import annotations

import argparse
import sys

from bench.commands.options import Commands, add_device, add_rounds, add_variants
from bench.errors import UsageError
from bench.plan import plan
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import parse_names
from bench.store.files import write_whole
from hnrnn.arguments import Parser, WholeNumber, output_file


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    timing = commands.add_parser(
        "ensemble-timing",
        help="time one seed after the other beside an ensemble, and both beside the machine's peak",
        description="Time whole trainings in interleaved rounds: one seed on the notebook's own "
        "backend, and many seeds as an ensemble. Print both beside the operations and bytes that "
        "they take, and the most that the machine can do of each.",
    )
    add_variants(timing)
    add_device(timing)
    timing.add_argument(
        "--seeds",
        type=WholeNumber(1, 4096),
        metavar="N",
        help="seeds of an ensemble, %(type)s; default: as many as fit at once on the device",
    )
    add_rounds(timing, default=3)
    timing.add_argument(
        "--epochs",
        type=WholeNumber(1, 1000),
        metavar="N",
        help="the most of a training, %(type)s; default: the recipe's",
    )
    timing.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="a new CSV file for the seconds of every call",
    )
    timing.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench ensemble-timing``."""
    variants = parse_names(options.variants)
    plan.find_configurations(variants, [NOTEBOOK])  # whatever is wrong with a name is said at once
    from bench.execution.environment import find_device
    from bench.timing.ensemble_timing import as_markdown, compare

    timed = compare(
        variants,
        device=find_device(options.device),
        rounds=options.rounds,
        seeds=options.seeds,
        epochs=options.epochs,
        watch=lambda line: print(line, file=sys.stderr),
    )
    try:
        if options.output:
            write_whole(options.output, timed.to_csv(index=False).encode())
    except OSError as error:
        raise UsageError(
            f"--output {options.output} cannot be written: {error.strerror}"
        ) from error
    finally:
        print(as_markdown(timed))  # an hour's work is shown even if no disk can hold it
    return 0
