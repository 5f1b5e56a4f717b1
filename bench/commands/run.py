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
from bench.plan.grid import BACKENDS
from bench.plan.plan import (
    CHOICES,
    MOST_JOBS,
    MOST_SEEDS,
    find_configurations,
    inapplicable,
    parse_names,
    unsupported_configurations,
)
from bench.plan.profiles import PROFILES, Part, Profile, night_of, plan_of
from bench.store.records import DIVERGED, FAILED, SKIPPED, Run
from bench.text import counted, one_line
from hnrnn.arguments import Number, Parser, any_path, filled, output_folder
from hnrnn.program import show
from hnrnn.variants import LARGEST_SEED

OF_THE_RUNS = ("dtype", "initialisation", "injected_fault")
PASSED_ON = (
    *("device", "injected_fault", "engine", "jobs", "gpus_per_run"),
    *("ray_address", "fail_fast", "results", "data"),
)
"""The options that are arguments of ``bench.night.train`` under the same names."""


def add_parser(commands: Commands[Parser]) -> None:
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are skipped",
        description="Train every named variant on every named backend with every seed, and store "
        "each run as parquet. Runs that are stored already are skipped. Half of the ensemble's "
        "seeds in a nightly are fresh: other ones every day (in UTC), but those that the results "
        "folder has already.",
    )
    backends = (
        "notebook, and nn, cell and custom for the recurrent variants; nightly: every backend of "
        "the device"
    )
    add_grid(run, "how much to run", _described, backends)
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help="a number of seeds (5 means 0 to 4), a range (0-4) or a list (1,3,9); at most "
        f"{MOST_SEEDS:,}, each from 0 to {LARGEST_SEED}; default: the profile's. With --profile "
        "nightly it is for the ensemble, and for all --backends that are named; half of a number "
        "of the ensemble's seeds are fresh, a range or a list is trained as it is",
    )
    add_device(run)
    add_dtype(run)
    _add_training(run)
    _add_engine(run)
    add_results(run, output_folder)
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="say what there is to do, how long it will take and how much memory, and stop; "
        "runs count as stored whatever software made them",
    )
    run.set_defaults(carry_out=carry_out)


def _described(profile: Profile) -> str:
    epochs = "" if profile.epochs is None else f", {counted(profile.epochs, 'epoch')}"
    parts = " and ".join(_part(part) for part in profile.parts)
    return f"{parts}{epochs}, {profile.description}"


def _part(part: Part) -> str:
    numbers = dict.fromkeys(part.seeds.values())
    seeds = f"{' or, on a GPU, '.join(map(str, numbers))} seeds"
    return f"{seeds} by the ensemble" if part.fresh else seeds


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
    named = None if options.backends is None else parse_names(options.backends)
    plan_for(options, "cpu", 0)  # reports what is wrong before torch is loaded
    reasons = []
    if options.injected_fault is not None:
        backends = [name for part in profile.parts for name in part.names("cpu", named)]
        reasons = inapplicable(find_configurations(variants, backends), options.injected_fault)
    notes = [f"skipped {options.injected_fault}: {reason}" for reason in reasons]
    if named is not None:
        notes = [f"skipped {line}" for line in unsupported_configurations(variants, named)] + notes
    # Imported here, because they load pandas and rich.
    from bench.plan.forecast import stored_runs

    night = night_of(row["seed"] for row in stored_runs(options.results))
    if options.dry_run:
        return _dry_run(options, night, notes)
    from bench.engines.progress import ProgressDisplay
    from bench.night import train

    def plan(device: str) -> list[Run]:
        notes.extend(left_out(options, device))
        return plan_for(options, device, night)

    halt = None
    with ProgressDisplay(notes) as display:
        try:
            train(plan, display=display, **{name: getattr(options, name) for name in PASSED_ON})
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


def plan_for(options: argparse.Namespace, device: str, night: int) -> list[Run]:
    """Return the runs that the options ask for, on ``cpu`` or ``cuda``, with a night's seeds."""
    return plan_of(
        PROFILES[options.profile],
        variants=parse_names(options.variants),
        backends=None if options.backends is None else parse_names(options.backends),
        seeds=options.seeds,
        device=device,
        night=night,
        **{name: getattr(options, name) for name in OF_THE_RUNS},
    )


def left_out(options: argparse.Namespace, device: str) -> list[str]:
    """Return a note on the backends of the profile that need another device."""
    every = any(part.backends is None for part in PROFILES[options.profile].parts)
    if device == "cuda" or options.backends is not None or not every:
        return []
    names = [backend.name for backend in BACKENDS.values() if backend.needs_gpu]
    return [f"left out: {', '.join(names)}, which need a GPU"]


def _dry_run(options: argparse.Namespace, night: int, notes: Sequence[str]) -> int:
    """Print what there is to do, and do nothing."""
    from bench.engines.local import usable_processors
    from bench.plan.forecast import forecast, run_of, stored_runs

    device, jobs = options.device, options.jobs
    if options.engine != LOCAL and (device == "auto" or jobs is None):
        raise UsageError("--dry-run asks no Ray cluster: name --jobs, and --device cpu or cuda")
    if device == "auto":
        from bench.execution.environment import find_device  # loads torch

        device = find_device(device)
    planned, rows = plan_for(options, device, night), stored_runs(options.results)
    stored = {run_of(row) for row in rows}
    missing = [run for run in planned if run not in stored]
    jobs = jobs or (1 if device == "cuda" else usable_processors())
    head = (
        f"{counted(len(planned), 'run')}: {len(planned) - len(missing)} stored already in "
        f"{one_line(options.results)}, {len(missing)} to do on {device}"
    )
    lines = [*notes, *left_out(options, device), head]
    return show("\n".join([*lines, *forecast(planned, missing, rows, jobs, device)]))


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
