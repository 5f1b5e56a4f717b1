"""``bench run``: trains and stores the runs of a plan that are not stored yet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench.commands.options import (
    Commands,
    add_device,
    add_dtype,
    add_grid,
    add_number,
    add_results,
    report,
)
from bench.engines import ENGINES, LOCAL
from bench.engines.work import Finished, Halted
from bench.errors import UsageError
from bench.plan.faults import FAULTS
from bench.plan.plan import (
    CHOICES,
    MOST_JOBS,
    MOST_SEEDS,
    PROFILES,
    Profile,
    find_configurations,
    inapplicable,
    parse_names,
    parse_seeds,
    unsupported_configurations,
)
from bench.store.records import DIVERGED, FAILED, SKIPPED
from bench.text import counted, one_line
from hnrnn.arguments import Number, Parser, any_path, filled, output_folder
from hnrnn.variants import LARGEST_SEED

PASSED_ON = (
    *("device", "dtype", "initialisation", "injected_fault", "engine", "jobs", "gpus_per_run"),
    *("ray_address", "fail_fast", "results", "data"),
)
"""The options that are arguments of ``bench.run`` under the same names."""


def add_parser(commands: Commands[Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are skipped",
        description="Train every named variant on every named backend with every seed, and store "
        "each run as parquet. Runs that are stored already are skipped.",
    )
    backends = "notebook, and nn, cell and custom for the recurrent variants"
    add_grid(run, "how much to run", _described, backends)
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help="a number of seeds (5 means 0 to 4), a range (0-4) or a list (1,3,9); at most "
        f"{MOST_SEEDS:,}, each from 0 to {LARGEST_SEED}; default: the profile's",
    )
    add_device(run)
    add_dtype(run)
    _add_training(run)
    _add_engine(run)
    add_results(run, output_folder)
    run.set_defaults(carry_out=carry_out)


def _described(profile: Profile) -> str:
    epochs = "" if profile.epochs is None else f", {counted(profile.epochs, 'epoch')}"
    return f"{counted(profile.seeds, 'seed')}{epochs}, {profile.description}"


def _add_training(run: Parser) -> None:
    faults, controls = (
        ", ".join(fault.name for fault in FAULTS.values() if fault.control == control)
        for control in (False, True)
    )
    run.add_argument(
        "--initialisation",
        choices=CHOICES["initialisation"],
        default="ones",
        help="of the BatchNorm weights: 1, or drawn from U(0, 1) as before PyTorch 1.2; "
        "default: ones",
    )
    run.add_argument(
        "--inject-fault",
        dest="injected_fault",
        metavar="NAME",
        help=f"train with a known fault, to see whether the verdict finds it ({faults}), or with a "
        f"harmless change, to see that it finds nothing ({controls}); not with --profile nightly",
    )
    run.add_argument(
        "--fail-fast",
        action="store_true",
        help="stop at the first run that fails; finished runs are kept",
    )
    run.add_argument(
        "--data",
        type=any_path,
        metavar="PATH",
        help="check that your copy of fast.ai's human_numbers, a folder or an archive, is the text "
        "that is generated here",
    )


def _add_engine(run: Parser) -> None:
    engines = "; ".join(f"{name}: {description}" for name, description in ENGINES.items())
    run.add_argument(
        "--engine",
        choices=ENGINES,
        default=LOCAL,
        help=f"where runs execute ({engines}); default: {LOCAL}",
    )
    add_number(
        run,
        "--jobs",
        MOST_JOBS,
        "runs or ensembles at a time",
        "one per CPU core, or one on a GPU; with --engine ray, as many as fit",
    )
    run.add_argument(
        "--gpus-per-run",
        type=Number(0.001, 1),
        metavar="X",
        help="with --engine ray: the share of a GPU that each run gets, %(type)s; default: 1",
    )
    run.add_argument(
        "--ray-address",
        type=filled,
        metavar="ADDRESS",
        help="with --engine ray: the address of a running cluster, or auto for the one on this "
        "machine; default: start one",
    )


def carry_out(options: argparse.Namespace) -> int:
    """Return 1 if a run failed, if the night was stopped, or if every run was skipped."""
    profile = PROFILES[options.profile]
    if options.injected_fault is not None and options.profile == "nightly":
        raise UsageError(
            "--inject-fault does not work with --profile nightly; use --profile quick or smoke"
        )
    variants = parse_names(options.variants)
    backends = parse_names(options.backends or profile.backends)
    seeds = range(profile.seeds) if options.seeds is None else parse_seeds(options.seeds)
    reasons = inapplicable(find_configurations(variants, backends), options.injected_fault)
    notes = [f"skipped {options.injected_fault}: {reason}" for reason in reasons]
    if options.backends is not None:
        unsupported = unsupported_configurations(variants, backends)
        notes = [f"skipped {line}" for line in unsupported] + notes
    # Imported here, because they load pandas and rich.
    from bench.engines.progress import ProgressDisplay
    from bench.night import run as run_night

    halt = None
    with ProgressDisplay(notes) as display:
        try:
            run_night(
                variants=variants,
                backends=backends,
                seeds=seeds,
                epochs=profile.epochs,
                display=display,
                **{name: getattr(options, name) for name in PASSED_ON},
            )
        except Halted as reason:
            halt = str(reason)
    statuses = [result.status for result in display.ended]
    if display.missing_count:
        report(closing_line(display.ended, options.results))
    if halt:
        left = counted(display.missing_count - len(statuses), "run")
        report(f"stopped: {halt}; {left} not done: the same command continues from there")
    all_skipped = display.planned_count == statuses.count(SKIPPED)
    return 1 if halt or all_skipped or FAILED in statuses else 0


def closing_line(ended: Sequence[Finished], results: Path) -> str:
    """Return how many runs were stored, and which of them failed, diverged or were skipped."""
    labels: dict[str, list[str]] = {DIVERGED: [], FAILED: [], SKIPPED: []}
    for result in ended:
        labels.setdefault(result.status, []).append(result.run.label)
    stored = len(ended) - len(labels[FAILED]) - len(labels[SKIPPED])
    line = f"{counted(stored, 'run')} stored in {one_line(results)}"
    if diverged := labels[DIVERGED]:
        line += f", {len(diverged)} of them diverged: {', '.join(diverged)}"
    if failed := labels[FAILED]:
        line += f"; {len(failed)} failed: {', '.join(failed)}"
    if skipped := labels[SKIPPED]:
        reasons = dict.fromkeys(one_line(r.error) for r in ended if r.status == SKIPPED)
        line += f"; {len(skipped)} skipped: {'; '.join(reasons)}"
    return line
