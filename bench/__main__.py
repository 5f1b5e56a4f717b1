"""``python -m bench``: train variants under many seeds, and keep what comes out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench import plan
from bench.plan import PROFILES, PlanError, parse_names, parse_seeds
from bench.pool import Finished
from bench.records import DIVERGED, FAILED, SKIPPED, Run, run_id
from bench.store import Store, StoreError
from hnrnn import corpus as corpora
from hnrnn.arguments import Parser
from hnrnn.corpus import CorpusError
from hnrnn.variants import VARIANTS

INTERRUPTED = 130


def make_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    run = commands.add_parser(
        "run",
        help="train and store; runs that are stored already are passed over",
        description="Train every named variant with every seed, in worker processes, and store "
        "each run as parquet. Runs that are stored already are passed over.",
    )
    profiles = "; ".join(f"{name}: {profile.description}" for name, profile in PROFILES.items())
    run.add_argument(
        "--profile", choices=PROFILES, default="quick", help=f"how much to run ({profiles})"
    )
    run.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), metavar="NAME", help="default: all eight"
    )
    run.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="see `bench list`; notebook is each variant's own; default: the profile's, which are "
        "notebook, and nn, cell and custom on the recurrent variants",
    )
    run.add_argument(
        "--seeds",
        metavar="SEEDS",
        help="5 (seeds 0 to 4), 0-4 or 1,3,9; default: the profile's",
    )
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    run.add_argument(
        "--initialisation",
        choices=("ones", "uniform"),
        default="ones",
        help="where BatchNorm weights start: at 1, or drawn from U(0, 1) as before PyTorch 1.2",
    )
    run.add_argument(
        "--jobs",
        type=int,
        metavar="N",
        help="runs at a time; default: one per CPU core, one on a GPU",
    )
    run.add_argument("--results", default="results", metavar="DIR", help="default: results")
    run.add_argument(
        "--data",
        metavar="PATH",
        help="a copy of fast.ai's human_numbers, folder or archive, that must prove equal to the "
        "generated text",
    )
    listing = commands.add_parser(
        "list",
        help="every variant and backend, and what can run here",
        description="Print every variant and backend, whether it can run here, and if not, why.",
    )
    listing.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    listing.add_argument("--json", action="store_true", help="for programs")
    compact = commands.add_parser(
        "compact",
        help="copy a results folder into one compressed file a table",
        description="Copy a results folder into one compressed file a table, to be published.",
    )
    compact.add_argument("--results", default="results", metavar="DIR", help="default: results")
    compact.add_argument("--output", required=True, metavar="DIR", help="a new folder")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 where every run is stored, 1 where one failed, 2 for wrong usage, 130 after Ctrl-C.
    """
    parser = make_parser()
    options = parser.parse_args(_seeds_joined(sys.argv[1:] if arguments is None else arguments))
    prog = f"{parser.prog} {options.command}"
    try:
        if options.command == "compact":
            print(f"{Store(options.results).compact(options.output)} written", file=sys.stderr)
            return 0
        return list_grid(options) if options.command == "list" else run(options)
    except (PlanError, CorpusError, StoreError, UsageError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"\n{prog}: stopped; finished runs are stored in {options.results}, "
            "and the same command goes on from there",
            file=sys.stderr,
        )
        return INTERRUPTED


def _seeds_joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--seeds -1,2`` as one word.

    argparse would take ``-1,2`` for an option, and not say what is wrong with it.
    """
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--seeds" and word[1:2].isdigit():
            words[-1] = f"--seeds={word}"
        else:
            words.append(word)
    return words


class UsageError(ValueError):
    """An argument that cannot be served, with what would be right."""


def run(options: argparse.Namespace) -> int:
    """Carry out ``bench run``; see ``main`` for what is returned."""
    profile = PROFILES[options.profile]
    seeds = list(range(profile.seeds)) if options.seeds is None else parse_seeds(options.seeds)
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"--jobs must be 1 or more, not {options.jobs}")
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
    }
    plan.make_plan(**grid, device=options.device)
    if options.backends is not None:
        for line in plan.empty_squares(grid["variants"], backends):
            print(f"passed over: {line}", file=sys.stderr)
    corpora.load(options.data)  # raises where a given copy is another text

    # These load torch: only once the arguments have been found good.
    from bench.environment import read_environment, read_provenance, reproducible_settings

    device = _find_device(options.device)
    runs = plan.make_plan(**grid, device=device)
    with reproducible_settings():
        environment = read_environment(device)
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


if __name__ == "__main__":
    sys.exit(main())
