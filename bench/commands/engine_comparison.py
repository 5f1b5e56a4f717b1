"""``bench engines``: one seed after the other timed beside an ensemble."""

from __future__ import annotations

import argparse
import sys

from bench.commands.options import ROUNDS, Commands, add_device, add_variants
from bench.errors import UsageError
from bench.plan import plan
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import parse_names
from bench.store.files import write_whole
from hnrnn.arguments import Parser, WholeNumber, output_file


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    engines = commands.add_parser(
        "engines",
        help="time one seed after the other beside an ensemble, and both beside the machine's peak",
        description="Time whole trainings in interleaved rounds, one seed by the Learner and many "
        "seeds as an ensemble, and print both beside the operations and bytes that they take and "
        "what the machine does of these at most.",
    )
    add_variants(engines)
    add_device(engines)
    engines.add_argument(
        "--seeds",
        type=WholeNumber(1, 4096),
        metavar="N",
        help="of an ensemble, %(type)s; default: as many as are trained at once on the device",
    )
    engines.add_argument(
        "--rounds", type=ROUNDS, default=3, metavar="N", help="%(type)s; default: 3"
    )
    engines.add_argument(
        "--epochs",
        type=WholeNumber(1, 1000),
        metavar="N",
        help="of a training at most, %(type)s; default: the recipe's",
    )
    engines.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="a new CSV file, for the seconds of every call",
    )
    engines.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench engines``."""
    variants = parse_names(options.variants)
    plan.find_configurations(variants, [NOTEBOOK])  # whatever is wrong with a name is said at once
    from bench.execution.environment import find_device
    from bench.timing.engine_timing import as_markdown, compare

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
        print(as_markdown(timed))  # what took an hour is seen, though no disk holds it
    return 0
