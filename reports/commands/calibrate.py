"""``reports calibrate``: measure how often ``check`` alarms falsely, and what it notices."""

from __future__ import annotations

import argparse

import pandas as pd

from hnrnn.arguments import Parser, WholeNumber, folder, output_folder
from reports.commands.errors import UsageError
from reports.commands.options import Commands, add_results
from reports.commands.output import write_files
from reports.runs.reading import read
from reports.verdict import calibration, rates, timed_nights

NIGHTS, SEEDS = WholeNumber(1, 10_000), WholeNumber(1, 10_000)


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    calibrate = commands.add_parser(
        "calibrate",
        help="measure check itself: false alarms, and shifts noticed",
        description="Judge simulated nights as `check` does, each against a baseline of its own. "
        "Nights and baselines are drawn from the seeds of the results folder; nights that repeat "
        "the baseline's seeds have the runs of a second folder. In further nights one variant's "
        "values are shifted. Writes null_nights.csv and shifted_nights.csv, which every verdict "
        "then shows. With `--throughput` the verdict on throughput is measured instead.",
    )
    add_results(calibrate)
    calibrate.add_argument(
        "--again", type=folder, metavar="DIR",
        help="other healthy runs of the same seeds: another backend's, or another machine's; "
        "needed without --throughput",
    )  # fmt: skip
    calibrate.add_argument(
        "--throughput", action="store_true",
        help="hold the measurements of the results folder, three or more calls of `bench "
        "throughput` without a change between them, against one another, as they are and slowed "
        "down; writes timed_nights.csv and slowed_nights.csv",
    )  # fmt: skip
    for option, kind, default, what in (
        ("--nights", NIGHTS, 400, "simulated nights of each kind without a change"),
        ("--shifted-nights", NIGHTS, 1000, "simulated nights for each size of a shift"),
        ("--seeds", SEEDS, 20, "seeds per night"),
        ("--baseline-seeds", SEEDS, 100, "seeds per baseline"),
    ):
        calibrate.add_argument(
            option, type=kind, default=default, metavar="N",
            help=f"{what}, %(type)s; default: {default}",
        )  # fmt: skip
    calibrate.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="where to write"
    )
    calibrate.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports calibrate``."""
    if options.throughput:
        return _time(options)
    if options.again is None:
        raise UsageError("--again is missing: name a folder with other runs of the same seeds")
    sizes = {"baseline_seeds": options.baseline_seeds, "night_seeds": options.seeds}
    try:
        pool = calibration.make_pool(read(options.results), read(options.again))
        nulls = pd.concat(
            calibration.null_nights(pool, kind, nights=options.nights, **sizes)
            for kind in (calibration.FRESH, calibration.REPEATED)
        )
    except ValueError as error:
        raise UsageError(f"{options.results}: {error}: `python -m bench run` makes some") from error
    for kind, gate, suspected, left, failed in rates.false_alarms(nulls):
        print(f"nights of {kind} seeds without a change, by {gate}: {suspected} suspected")
        print(f"  fresh seeds did not clear {left}, and failed {failed}")
    shifted = calibration.shifted_nights(pool, nights=options.shifted_nights, **sizes)
    for shift, _, _, found in rates.noticed_shifts(shifted):
        print(f"a variant shifted by {shift:g} standard deviations: {found} suspected")
    files = {rates.NULLS: nulls.to_csv(index=False), rates.SHIFTED: shifted.to_csv(index=False)}
    write_files(options.output, files)
    return 0


def _time(options: argparse.Namespace) -> int:
    """Measure the verdict on throughput."""
    try:
        nights = timed_nights.recorded(read(options.results).throughput)
    except ValueError as error:
        raise UsageError(
            f"{options.results}: {error}: repeat `python -m bench throughput` on one thread"
        ) from error
    slowed = timed_nights.rates_of(nights)
    for place, found in rates.found_slowdowns(slowed).items():
        for slowdown, rate in found.items():
            what = f"{place} slower by {slowdown:.0%}" if slowdown else "no change"
            print(f"{what}: {rate} {'found' if slowdown else 'failed'}")
    files = {rates.TIMED: nights.to_csv(index=False), rates.SLOWED: slowed.to_csv(index=False)}
    write_files(options.output, files)
    return 0
