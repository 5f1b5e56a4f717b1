"""``python -m bench``: train variants under many seeds, time backends, keep what comes out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from bench import plan
from bench.arguments import make_parser, seeds_joined
from bench.grid import BACKENDS
from bench.plan import PROFILES, PlanError, parse_names, parse_seeds
from bench.pool import Finished
from bench.records import DIVERGED, FAILED, SKIPPED, Run, run_id
from bench.store import THROUGHPUT, Store, StoreError
from hnrnn import corpus as corpora
from hnrnn.corpus import CorpusError

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 where every run is stored, 1 where one failed, 2 for wrong usage, 130 after Ctrl-C.
    """
    parser = make_parser(__doc__)
    options = parser.parse_args(seeds_joined(sys.argv[1:] if arguments is None else arguments))
    prog = f"{parser.prog} {options.command}"
    try:
        return COMMANDS[options.command](options)
    except (PlanError, CorpusError, StoreError, UsageError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = "nothing of what it was doing is stored"
        if options.command == "run":
            kept = (
                f"finished runs are stored in {options.results}, "
                "and the same command goes on from there"
            )
        print(f"\n{prog}: stopped; {kept}", file=sys.stderr)
        return INTERRUPTED


class UsageError(ValueError):
    """An argument that cannot be served, with what would be right."""


def run(options: argparse.Namespace) -> int:
    """Carry out ``bench run``; see ``main`` for what is returned."""
    profile = PROFILES[options.profile]
    seeds = list(range(profile.seeds)) if options.seeds is None else parse_seeds(options.seeds)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, not {options.jobs}")
    if options.plant is not None and options.profile == "nightly":
        raise UsageError(
            "--plant: the nightly profile is never trained wrongly; use --profile quick or smoke"
        )
    backends = list(profile.backends)
    if options.backends is not None:
        backends = parse_names(options.backends)
    # First with the device as it was given: whatever is wrong with a name is said at once.
    grid = {
        "variants": parse_names(options.variants),
        "backends": backends,
        "seeds": seeds,
        "dtype": options.dtype,
        "initialisation": options.initialisation,
        "epochs": profile.epochs,
        "plant": options.plant,
    }
    plan.make_plan(**grid, device=options.device)
    lines = []
    if options.backends is not None:
        lines += plan.empty_squares(grid["variants"], backends)
    lines += plan.unplantable(plan.find_squares(grid["variants"], backends), options.plant)
    for line in lines:
        print(f"passed over: {line}", file=sys.stderr)
    corpora.load(options.data)  # raises where a given copy is another text

    # Threads spin while they wait: several, as a plant may have, on few cores spin for minutes.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # These load torch: only once the arguments have been found good.
    from bench.environment import (
        read_environment,
        read_provenance,
        reproducible_settings,
        threads_of,
    )

    device = _find_device(options.device)
    runs = plan.make_plan(**grid, device=device)
    with reproducible_settings(threads_of(options.plant)):
        environment = read_environment(device, options.plant)
    ids = {run: run_id(run, environment) for run in runs}

    store = Store(options.results)
    store.prepare()
    finished = store.finished(ids.values())
    missing = [run for run in runs if ids[run] not in finished]
    device_text = f"{device} ({environment.device_name})"
    print(
        f"{len(runs)} runs: {len(runs) - len(missing)} stored already in {options.results}, "
        f"{len(missing)} to do on {device_text}",
        file=sys.stderr,
    )
    if not missing:
        return 0
    from bench.pool import run_all, usable_processors
    from bench.progress import ProgressDisplay

    jobs = options.jobs or (1 if device == "cuda" else usable_processors())
    with ProgressDisplay(missing) as display:
        ended = run_all(
            missing,
            results=options.results,
            jobs=jobs,
            provenance=read_provenance(device),
            watch=display,
        )
    print(_closing_lines(ended, options.results), file=sys.stderr)
    if all(result.status == SKIPPED for result in ended) and not finished:
        return 1
    return 1 if any(result.status == FAILED for result in ended) else 0


def throughput(options: argparse.Namespace) -> int:
    """Carry out ``bench throughput``; returns 1 where a backend failed or its gate was shut."""
    for name in ("rounds", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} must be 1 or more, not {value}")
    profile = PROFILES[options.profile]
    variants = parse_names(options.variants)
    backends = list(BACKENDS) if options.backends is None else parse_names(options.backends)
    plan.find_squares(variants, backends)  # whatever is wrong with a name is said at once
    if options.backends is not None:
        for line in plan.empty_squares(variants, backends):
            print(f"passed over: {line}", file=sys.stderr)
    store = Store(options.results)
    store.prepare([THROUGHPUT])
    # Before torch is loaded: its memory profiler speaks of itself otherwise.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    device = _find_device(options.device)
    from bench.throughput import Effort, measure, summary

    measurement = measure(
        variants,
        backends,
        Effort(options.rounds or profile.rounds, profile.block_seconds),
        device=device,
        dtype=options.dtype,
        threads=options.threads,
        watch=lambda line: print(line, file=sys.stderr),
    )
    store.write_measurement(measurement)
    print(summary(measurement))
    print(f"{len(measurement.samples)} rows stored in {options.results}", file=sys.stderr)
    return 1 if any(timed.status == FAILED for timed, _ in measurement.samples) else 0


def compact(options: argparse.Namespace) -> int:
    """Carry out ``bench compact``."""
    print(f"{Store(options.results).compact(options.output)} written", file=sys.stderr)
    return 0


def list_grid(options: argparse.Namespace) -> int:
    """Carry out ``bench list``."""
    device = _find_device(options.device)
    from bench import listing
    from bench.environment import read_environment

    grid = listing.squares(device)
    if options.json:
        print(listing.as_json(grid))
    else:
        print(listing.as_text(grid, f"{device} ({read_environment(device).device_name})"))
    return 0


def _find_device(name: str) -> str:
    from bench.environment import DeviceError, find_device  # loads torch

    try:
        return find_device(name)
    except DeviceError as error:
        raise UsageError(str(error)) from error


def _closing_lines(ended: list[Finished], results: str) -> str:
    """Return what a person has to know at the end: counts, and every run that is not as it was."""
    runs: dict[str, list[Run]] = {}
    for result in ended:
        runs.setdefault(result.status, []).append(result.run)
    failed, skipped = runs.get(FAILED, []), runs.get(SKIPPED, [])
    diverged = runs.get(DIVERGED, [])
    stored = len(ended) - len(failed) - len(skipped)
    line = f"{stored} run{'' if stored == 1 else 's'} stored in {results}"
    if diverged:
        line += f", {len(diverged)} of them diverged: {', '.join(r.label for r in diverged)}"
    if failed:
        line += f"; {len(failed)} failed: {', '.join(r.label for r in failed)}"
    reasons = dict.fromkeys(str(result.error) for result in ended if result.status == SKIPPED)
    if skipped:
        line += f"; {len(skipped)} skipped: {'; '.join(reasons)}"
    return line


COMMANDS = {"run": run, "throughput": throughput, "list": list_grid, "compact": compact}

if __name__ == "__main__":
    sys.exit(main())
