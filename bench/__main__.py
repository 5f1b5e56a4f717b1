"""``python -m bench``: train variants under many seeds, time backends, keep what comes out."""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-bench", "bench"))  # before the imports that take seconds

import argparse
import os
import sys
from collections.abc import Sequence

from bench.commands import run as night
from bench.commands.options import make_parser, seeds_joined
from bench.plan import plan
from bench.plan.grid import BACKENDS, NOTEBOOK
from bench.plan.plan import PROFILES, UsageError, parse_names
from bench.signals import Terminated, terminable
from bench.store.files import write_whole
from bench.store.records import FAILED
from bench.store.store import THROUGHPUT, Store, StoreError
from bench.text import one_line
from hnrnn.corpus import CorpusError
from hnrnn.program import INTERRUPTED, show

TERMINATED = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 where every run is stored, 1 where one failed, 2 for wrong usage, 74 where the output
    of ``list`` cannot be written, 130 after Ctrl-C, 143 after SIGTERM. An error that nobody
    expected is raised; ``hnrnn.program`` makes 70 of it.
    """
    parser = make_parser(__doc__)
    options = parser.parse_args(seeds_joined(sys.argv[1:] if arguments is None else arguments))
    prog = f"{parser.prog} {options.command}"
    try:
        with terminable():
            return COMMANDS[options.command](options)
    except (UsageError, CorpusError, StoreError) as error:
        print(f"{prog}: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        kept = "nothing of what it was doing is stored"
        if options.command == "run":
            kept = (
                f"finished runs are stored in {one_line(options.results)}, "
                "and the same command goes on from there"
            )
        print(f"\n{prog}: stopped; {kept}", file=sys.stderr)
        return TERMINATED if isinstance(stop, Terminated) else INTERRUPTED


def throughput(options: argparse.Namespace) -> int:
    """Carry out ``bench throughput``; returns 1 where a backend failed or its gate was shut."""
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
    from bench.execution.environment import find_device
    from bench.timing.throughput import Effort, measure, summary

    measurement = measure(
        variants,
        backends,
        Effort(options.rounds or profile.rounds, profile.block_seconds),
        device=find_device(options.device),
        dtype=options.dtype,
        threads=options.threads,
        watch=lambda line: print(line, file=sys.stderr),
    )
    try:
        store.write_measurement(measurement)
        print(
            f"{len(measurement.samples)} rows stored in {one_line(options.results)}",
            file=sys.stderr,
        )
    finally:
        print(summary(measurement))  # what took an hour is seen, though no disk holds it
    return 1 if any(timed.status == FAILED for timed, _ in measurement.samples) else 0


def engines(options: argparse.Namespace) -> int:
    """Carry out ``bench engines``."""
    variants = parse_names(options.variants)
    plan.find_squares(variants, [NOTEBOOK])  # whatever is wrong with a name is said at once
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


def compact(options: argparse.Namespace) -> int:
    """Carry out ``bench compact``."""
    written = Store(options.results).compact(options.output)
    print(f"{one_line(written)} written", file=sys.stderr)
    return 0


def list_grid(options: argparse.Namespace) -> int:
    """Carry out ``bench list``."""
    from bench.commands import listing
    from bench.execution.environment import find_device, read_environment

    device = find_device(options.device)
    grid = listing.squares(device)
    if options.json:
        return show(listing.as_json(grid))
    return show(listing.as_text(grid, f"{device} ({read_environment(device).device_name})"))


COMMANDS = {
    "run": night.run,
    "throughput": throughput,
    "engines": engines,
    "list": list_grid,
    "compact": compact,
}

if __name__ == "__main__":
    sys.exit(main())
