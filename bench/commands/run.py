"""``bench run``: a night, the runs of a plan that are not stored yet, trained and stored."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.commands.options import Commands, add_device, add_dtype, add_results, add_variants
from bench.engines import ENGINES, LOCAL
from bench.engines.ledger import Ledger
from bench.engines.work import Finished, Halted, Site, Trainer
from bench.errors import UsageError
from bench.plan import plan
from bench.plan.faults import FAULTS
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import MOST_SEEDS, PROFILES, parse_names, parse_seeds
from bench.store.records import DIVERGED, ENSEMBLE, FAILED, SKIPPED, Environment, Run, run_id
from bench.store.store import Store
from bench.text import counted, one_line
from hnrnn import corpus as corpora
from hnrnn.arguments import Number, Parser, WholeNumber, any_path, filled, output_folder
from hnrnn.variants import LARGEST_SEED


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are skipped",
        description="Train every named variant with every seed, in worker processes, and store "
        "each run as parquet. Runs that are stored already are skipped.",
    )
    profiles = "; ".join(
        f"{name}, {profile.seeds} seeds{'' if profile.epochs is None else ' of one epoch'}: "
        f"{profile.description}"
        for name, profile in PROFILES.items()
    )
    run.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help=f"how much to run ({profiles}); default: quick",
    )
    add_variants(run)
    run.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="see `bench list`; notebook is each variant's own; default: the profile's, which are "
        "notebook, and nn, cell and custom on the recurrent variants; an ensemble's: notebook",
    )
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help=f"5 (seeds 0 to 4), 0-4 or 1,3,9, at most {MOST_SEEDS:,} in a call, each from 0 to "
        f"{LARGEST_SEED}; default: the profile's",
    )
    add_device(run)
    add_dtype(run)
    run.add_argument(
        "--initialisation",
        choices=("ones", "uniform"),
        default="ones",
        help="where BatchNorm weights start: at 1, or drawn from U(0, 1) as before PyTorch 1.2; "
        "default: ones",
    )
    run.add_argument(
        "--inject-fault",
        metavar="NAME",
        help="train wrongly on purpose, to see that it is found: "
        f"{_joined_names(control=False)}; or rightly in another way, to see that nothing is: "
        f"{_joined_names(control=True)}; refused by --profile nightly",
    )
    _add_engine(run)
    run.add_argument(
        "--fail-fast",
        action="store_true",
        help="end at the first run that fails; what is finished is kept",
    )
    add_results(run, output_folder)
    run.add_argument(
        "--data",
        type=any_path,
        metavar="PATH",
        help="a copy of fast.ai's human_numbers, folder or archive, that must prove equal to the "
        "generated text",
    )
    run.set_defaults(carry_out=carry_out)


def _add_engine(run: Parser) -> None:
    engines = "; ".join(f"{engine.name}: {engine.description}" for engine in ENGINES.values())
    run.add_argument(
        "--engine",
        choices=ENGINES,
        default=LOCAL,
        help=f"what trains the runs ({engines}); default: {LOCAL}",
    )
    run.add_argument(
        "--jobs",
        type=WholeNumber(1, 1024),
        metavar="N",
        help="runs at a time, %(type)s; default: one per CPU core, one on a GPU; of Ray's, as many "
        "as fit",
    )
    run.add_argument(
        "--gpus-per-run",
        type=Number(0.001, 1),
        metavar="X",
        help="of --engine ray: the part of a GPU that a run is given, %(type)s; default: 1",
    )
    run.add_argument(
        "--ray-address",
        type=filled,
        metavar="ADDRESS",
        help="of --engine ray: a running cluster's, or auto for this machine's; default: start one",
    )


def _joined_names(*, control: bool) -> str:
    return ", ".join(fault.name for fault in FAULTS.values() if fault.control == control)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench run``.

    Returns 1 where a run failed, where the night was ended early, or where nothing could be done
    here at all. Raises UsageError and its like before anything is trained where the arguments are
    wrong.
    """
    grid = _grid(options)
    for line in _unsupported_configurations(grid, options):
        print(f"skipped: {line}", file=sys.stderr)
    corpora.load(options.data)  # raises where a given copy is another text

    # Threads spin while they wait: several, as a fault may use, spin for minutes.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # From here on torch is loaded: only once the arguments have been found good.
    engine, settings = ENGINES[options.engine].load(), _settings(options)
    site: Site = engine.survey(options.device, options.inject_fault, **settings)
    runs = plan.make_plan(**grid, device=site.device)
    store = Store(options.results)
    store.prepare()
    missing = _missing(runs, site.environment, store)
    stored = f"{len(runs) - len(missing)} stored already in {one_line(options.results)}"
    place = f"{site.device} ({site.environment.device_name})"
    print(
        f"{counted(len(runs), 'run')}: {stored}, {len(missing)} to do on {place}", file=sys.stderr
    )
    if not missing:
        return 0
    from bench.engines.progress import ProgressDisplay
    from bench.execution.environment import read_provenance

    provenance = read_provenance(site.device)
    with ProgressDisplay(missing) as display:
        ended, halt = _train(
            engine,
            missing,
            Trainer(provenance, ENGINES[options.engine].trained_by),
            Ledger(store, site.environment, provenance, fail_fast=options.fail_fast),
            jobs=options.jobs or site.jobs,
            watch=display,
            say=display.say,
            **settings,
        )
    print(closing_line(ended, options.results), file=sys.stderr)
    if halt:
        left = len(missing) - len(ended)
        print(
            f"stopped: {halt}; {left} run{'' if left == 1 else 's'} not done: the same command "
            "goes on from there",
            file=sys.stderr,
        )
        return 1
    if len(missing) == len(runs) and all(result.status == SKIPPED for result in ended):
        return 1
    return 1 if any(result.status == FAILED for result in ended) else 0


def _grid(options: argparse.Namespace) -> dict[str, Any]:
    """Return what ``plan.make_plan`` takes, but for the device, checked as far as can be."""
    profile = PROFILES[options.profile]
    if options.inject_fault is not None and options.profile == "nightly":
        raise UsageError(
            "--inject-fault does not work with --profile nightly; use --profile quick or smoke"
        )
    _settings(options)
    backends, engine = options.backends, ENGINES[options.engine].trained_by
    if engine == ENSEMBLE:
        _check_ensemble(options)
        backends = [NOTEBOOK]
    grid = {
        "variants": parse_names(options.variants),
        "backends": list(profile.backends) if backends is None else parse_names(backends),
        "seeds": range(profile.seeds) if options.seeds is None else parse_seeds(options.seeds),
        "dtype": options.dtype,
        "initialisation": options.initialisation,
        "epochs": profile.epochs,
        "injected_fault": options.inject_fault,
        "engine": engine,
    }
    # With the device as it was given: whatever is wrong with a name is said before torch is loaded.
    plan.make_plan(**grid, device=options.device)
    return grid


def _check_ensemble(options: argparse.Namespace) -> None:
    """Raise UsageError for what only single runs can do."""
    for option, asked in (("backends", options.backends), ("injected_fault", options.inject_fault)):
        if asked not in (None, [NOTEBOOK]):
            raise UsageError(
                f"--{option}: an ensemble trains the recipes on the notebook's own backends: leave "
                f"--{option} away, or use --engine local"
            )


def _unsupported_configurations(grid: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Return a line for every reason why something that was named is not in the plan."""
    lines = []
    if options.backends is not None:
        lines += plan.unsupported_configurations(grid["variants"], grid["backends"])
    configurations = plan.find_configurations(grid["variants"], grid["backends"])
    return lines + plan.inapplicable(configurations, options.inject_fault)


def _missing(runs: Sequence[Run], environment: Environment, store: Store) -> list[Run]:
    """Return the runs that are not finished in the store."""
    ids = {run: run_id(run, environment) for run in runs}
    finished = store.finished(ids.values())
    return [run for run in runs if ids[run] not in finished]


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the engine is told that the others are not.

    Raises UsageError where an option is given that is another engine's.
    """
    settings = {}
    for engine in ENGINES.values():
        for name in engine.settings:
            value = getattr(options, name)
            if engine.name == options.engine:
                settings[name] = value
            elif value is not None:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(
                    f"{option} is of --engine {engine.name}, not {options.engine}: leave it away"
                )
    return settings


def _train(
    engine: Any, runs: Sequence[Run], trainer: Trainer, ledger: Ledger, **arguments: Any
) -> tuple[list[Finished], str | None]:
    """Have the engine train ``runs``; return how each ended, and why the night did too early."""
    try:
        return engine.run_all(runs, trainer, ledger, **arguments), None
    except Halted as halt:
        return halt.ended, str(halt)


def closing_line(ended: Sequence[Finished], results: Path) -> str:
    """Return what a person has to know at the end: counts, and every run that is not as it was."""
    runs: dict[str, list[Run]] = {}
    for result in ended:
        runs.setdefault(result.status, []).append(result.run)
    failed, skipped = runs.get(FAILED, []), runs.get(SKIPPED, [])
    diverged = runs.get(DIVERGED, [])
    stored = len(ended) - len(failed) - len(skipped)
    line = f"{stored} run{'' if stored == 1 else 's'} stored in {one_line(results)}"
    if diverged:
        line += f", {len(diverged)} of them diverged: {', '.join(r.label for r in diverged)}"
    if failed:
        line += f"; {len(failed)} failed: {', '.join(r.label for r in failed)}"
    reasons = dict.fromkeys(one_line(result.error) for result in ended if result.status == SKIPPED)
    if skipped:
        line += f"; {len(skipped)} skipped: {'; '.join(reasons)}"
    return line
