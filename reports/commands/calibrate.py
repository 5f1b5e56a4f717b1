"""``reports calibrate``: measure how often ``check`` alarms falsely, and which faults it finds."""

from __future__ import annotations

import argparse

from hnrnn.arguments import Parser, WholeNumber, folder, output_folder
from reports.commands.errors import UsageError
from reports.commands.options import Commands, add_results
from reports.commands.output import write_files
from reports.runs.reading import read
from reports.verdict import calibration, rates

NIGHTS, SEEDS = WholeNumber(1, 1000), WholeNumber(1, 10_000)


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    calibrate = commands.add_parser(
        "calibrate",
        help="measure check itself: false alarms, and injected faults found",
        description="Judge simulated nights as `check` does. Nights without a change are made of "
        "seeds from the results folder, nights with faults of runs that `bench run --inject-fault` "
        "trained. Writes null_nights.csv and faults.csv, which every verdict then shows.",
    )
    add_results(calibrate)
    calibrate.add_argument(
        "--faults", type=folder, metavar="DIR", help="runs of `bench run --inject-fault`"
    )
    for option, kind, default, what in (
        ("--baselines", NIGHTS, 40, "simulated baselines"),
        ("--nights", NIGHTS, 10, "simulated nights per baseline"),
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
    try:
        pool = calibration.whole_seeds(read(options.results))
    except ValueError as error:
        raise UsageError(f"{options.results}: {error}: `python -m bench run` makes some") from error
    nulls = calibration.null_nights(
        pool,
        baselines=options.baselines,
        nights=options.nights,
        baseline_seeds=options.baseline_seeds,
        night_seeds=options.seeds,
    )
    files = {rates.NULLS: nulls.to_csv(index=False)}
    for what, rate in zip(("suspected", "failed"), rates.false_alarms(nulls), strict=True):
        print(f"nights without a change that were {what}: {rate}")
    if options.faults is not None:
        faulty = read(options.faults)
        most = int(faulty.runs.groupby("injected_fault")["seed"].nunique().min()) // 2
        if most < 2:
            raise UsageError(f"{options.faults}: each fault needs 4 seeds or more, to confirm it")
        faults = calibration.detect_faults(
            pool,
            faulty,
            baseline_seeds=options.baseline_seeds,
            night_seeds=sorted({max(2, most // 2), most}),
            nights=options.nights,
        )
        files[rates.FAULTS] = faults.to_csv(index=False)
        for injected_fault, variants, seeds, noticed, failed in rates.rates_by_fault(faults):
            print(
                f"{injected_fault} in {variants}, {seeds} seeds: noticed {noticed}, failed {failed}"
            )
    write_files(options.output, files)
    return 0
