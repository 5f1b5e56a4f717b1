"""``bench ensemble-timing``: times an ensemble against training one seed after the other."""

from __future__ import annotations

import argparse

from bench.commands.options import Commands, add_device, add_number, add_variants, report
from bench.errors import UsageError
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import find_configurations, parse_names
from bench.store.files import write_whole
from hnrnn.arguments import Parser, output_file


def add_parser(commands: Commands[Parser]) -> None:
    timing = commands.add_parser(
        "ensemble-timing",
        help="time an ensemble against training one seed after the other",
        description="Time whole trainings in interleaved rounds: one seed on the notebook's own "
        "backend, and many seeds as an ensemble. Print the seconds per seed, and the least that "
        "each could take at the machine's peak rates.",
    )
    add_variants(timing)
    add_device(timing)
    add_number(timing, "--seeds", 4096, "seeds of an ensemble", "as many as fit on the device")
    add_number(timing, "--rounds", 10_000, "rounds of timing", 3)
    add_number(timing, "--epochs", 1000, "largest number of epochs", "the recipe's")
    timing.add_argument(
        "--output",
        type=output_file,
        metavar="FILE",
        help="a new CSV file for the seconds of every call",
    )
    timing.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    variants = parse_names(options.variants)
    find_configurations(variants, [NOTEBOOK])  # reports a wrong name before torch is loaded
    from bench.execution.environment import find_device
    from bench.timing.ensemble_timing import as_markdown, compare

    timed = compare(
        variants,
        device=find_device(options.device),
        rounds=options.rounds,
        seeds=options.seeds,
        epochs=options.epochs,
        watch=report,
    )
    try:
        if options.output:
            write_whole(options.output, timed.to_csv(index=False).encode())
    except OSError as error:
        raise UsageError(
            f"--output {options.output} cannot be written: {error.strerror}"
        ) from error
    finally:
        print(as_markdown(timed))  # also if the disk is full: it took an hour
    return 0
