"""``bench run``: trains and stores the runs of a plan that are not stored yet."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.commands.options import (
    Commands,
    add_device,
    add_dtype,
    add_profile,
    add_results,
    add_variants,
)
from bench.engines import ENGINES, LOCAL
from bench.engines.work import Finished, Halted
from bench.errors import UsageError
from bench.plan.faults import FAULTS
from bench.plan.plan import (
    CHOICES,
    MOST_SEEDS,
    PROFILES,
    find_configurations,
    inapplicable,
    parse_names,
    parse_seeds,
    unsupported_configurations,
)
from bench.store.records import DIVERGED, FAILED, SKIPPED, Run
from bench.text import counted, one_line
from hnrnn.arguments import Number, Parser, WholeNumber, any_path, filled, output_folder
from hnrnn.variants import LARGEST_SEED


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are skipped",
        description="Train every named variant on every named backend with every seed, and store "
        "each run as parquet. Runs that are stored already are skipped.",
    )
    add_profile(
        run,
        "how much to run",
        lambda profile: (
            f"{profile.seeds} seeds{'' if profile.epochs is None else ' of one epoch'}: "
            f"{profile.description}"
        ),
    )
    add_variants(run)
    run.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="see `bench list`; notebook is each variant's own; default: notebook, and nn, cell "
        "and custom on the recurrent variants",
    )
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help=f"5 (seeds 0 to 4), 0-4 or 1,3,9; at most {MOST_SEEDS:,} in a call, each from 0 to "
        f"{LARGEST_SEED}; default: the profile's",
    )
    add_device(run)
    add_dtype(run)
    _add_training(run)
    _add_engine(run)
    add_results(run, output_folder)
    run.set_defaults(carry_out=carry_out)


def _add_training(run: Parser) -> None:
    run.add_argument(
        "--initialisation",
        choices=CHOICES["initialisation"],
        default="ones",
        help="where BatchNorm weights start: at 1, or drawn from U(0, 1) as before PyTorch 1.2; "
        "default: ones",
    )
    run.add_argument(
        "--inject-fault",
        metavar="NAME",
        help=f"train wrongly on purpose, to see that it is found: {_joined_names(control=False)}; "
        "or in another way that is right, to see that nothing is found: "
        f"{_joined_names(control=True)}; not with --profile nightly",
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
        help="your copy of fast.ai's human_numbers, a folder or an archive; it must be the same "
        "text as the generated one",
    )


def _joined_names(*, control: bool) -> str:
    return ", ".join(fault.name for fault in FAULTS.values() if fault.control == control)


def _add_engine(run: Parser) -> None:
    engines = "; ".join(f"{engine.name}: {engine.description}" for engine in ENGINES.values())
    run.add_argument(
        "--engine",
        choices=ENGINES,
        default=LOCAL,
        help=f"where runs execute ({engines}); default: {LOCAL}",
    )
    run.add_argument(
        "--jobs",
        type=WholeNumber(1, 1024),
        metavar="N",
        help="runs at a time, or ensembles, %(type)s; default: one per CPU core, or one on a GPU; "
        "with --engine ray, as many as fit",
    )
    run.add_argument(
        "--gpus-per-run",
        type=Number(0.001, 1),
        metavar="X",
        help="with --engine ray: the share of a GPU that a run gets, %(type)s; default: 1",
    )
    run.add_argument(
        "--ray-address",
        type=filled,
        metavar="ADDRESS",
        help="with --engine ray: the address of a running cluster, or auto for the one on this "
        "machine; default: start one",
    )


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench run``.

    Returns 1 if a run failed, if the night was stopped, or if every run was skipped.
    """
    profile = PROFILES[options.profile]
    if options.inject_fault is not None and options.profile == "nightly":
        raise UsageError(
            "--inject-fault does not work with --profile nightly; use --profile quick or smoke"
        )
    variants = parse_names(options.variants)
    backends = parse_names(options.backends or profile.backends)
    seeds = range(profile.seeds) if options.seeds is None else parse_seeds(options.seeds)
    lines = _left_out(variants, backends, options.inject_fault, named=options.backends is not None)
    # Imported here, because they load pandas and rich.
    from bench.engines.progress import ProgressDisplay
    from bench.night import run as run_night

    halt = None
    with ProgressDisplay(lines) as display:
        try:
            run_night(
                variants=variants,
                backends=backends,
                seeds=seeds,
                device=options.device,
                dtype=options.dtype,
                initialisation=options.initialisation,
                epochs=profile.epochs,
                injected_fault=options.inject_fault,
                engine=options.engine,
                jobs=options.jobs,
                gpus_per_run=options.gpus_per_run,
                ray_address=options.ray_address,
                fail_fast=options.fail_fast,
                results=options.results,
                data=options.data,
                display=display,
            )
        except Halted as reason:
            halt = str(reason)
    statuses = [result.status for result in display.ended]
    if display.missing_count:
        print(closing_line(display.ended, options.results), file=sys.stderr)
    if halt:
        left = counted(display.missing_count - len(statuses), "run")
        print(
            f"stopped: {halt}; {left} not done: the same command continues from there",
            file=sys.stderr,
        )
    nothing = display.planned_count == statuses.count(SKIPPED)
    return 1 if halt or nothing or FAILED in statuses else 0


def _left_out(
    variants: Sequence[str], backends: Sequence[str], injected_fault: str | None, *, named: bool
) -> list[str]:
    """Return a line for everything that is not in the plan although it was asked for.

    ``named`` says whether the backends were given, and are not the profile's.
    """
    configurations = find_configurations(variants, backends)
    lines = unsupported_configurations(variants, backends) if named else []
    reasons = inapplicable(configurations, injected_fault)
    return [f"skipped {line}" for line in (*lines, *(f"{injected_fault}: {r}" for r in reasons))]


def closing_line(ended: Sequence[Finished], results: Path) -> str:
    """Return how many runs were stored, and which of them failed, diverged or were skipped."""
    runs: dict[str, list[Run]] = {}
    for result in ended:
        runs.setdefault(result.status, []).append(result.run)
    failed, skipped = runs.get(FAILED, []), runs.get(SKIPPED, [])
    diverged = runs.get(DIVERGED, [])
    line = (
        f"{counted(len(ended) - len(failed) - len(skipped), 'run')} stored in {one_line(results)}"
    )
    if diverged:
        line += f", {len(diverged)} of them diverged: {', '.join(r.label for r in diverged)}"
    if failed:
        line += f"; {len(failed)} failed: {', '.join(r.label for r in failed)}"
    reasons = dict.fromkeys(one_line(result.error) for result in ended if result.status == SKIPPED)
    if skipped:
        line += f"; {len(skipped)} skipped: {'; '.join(reasons)}"
    return line
