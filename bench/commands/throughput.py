"""``bench throughput``: backends timed side by side, every sample stored."""

from __future__ import annotations

import argparse
import os
import sys

from bench.commands.options import (
    Commands,
    add_device,
    add_dtype,
    add_profile,
    add_results,
    add_rounds,
    add_variants,
)
from bench.errors import UsageError
from bench.plan import plan
from bench.plan.grid import BACKENDS
from bench.plan.plan import PROFILES, parse_names
from bench.store.records import FAILED
from bench.text import counted, one_line
from hnrnn.arguments import Parser, WholeNumber, output_folder


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    throughput = commands.add_parser(
        "throughput",
        help="time the backends side by side, and store every sample",
        description="Time training steps, forward passes and validation of every named variant on "
        "every named backend, in interleaved rounds after the parity gate, and store every sample "
        "as parquet. The reference backend, nn or for Model0 to Model3 custom, is always timed, "
        "and twice.",
    )
    add_profile(
        throughput,
        "rounds and blocks",
        lambda profile: f"{profile.rounds} of {profile.block_seconds:g} s",
    )
    add_variants(throughput)
    throughput.add_argument(
        "--backends", nargs="+", metavar="NAME", help="see `bench list`; default: all but ensemble"
    )
    add_device(throughput)
    add_dtype(throughput)
    add_rounds(throughput)
    throughput.add_argument(
        "--threads",
        type=WholeNumber(1, 1024),
        default=1,
        metavar="N",
        help="CPU threads, %(type)s; default: 1",
    )
    add_results(throughput, output_folder)
    throughput.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench throughput``; returns 1 if a backend failed, or failed its gate."""
    profile = PROFILES[options.profile]
    variants = parse_names(options.variants)
    named = list(BACKENDS) if options.backends is None else parse_names(options.backends)
    plan.find_configurations(variants, named)  # whatever is wrong with a name is said at once
    joint = [name for name in named if name in BACKENDS and BACKENDS[name].joint]
    backends = [name for name in named if name not in joint]
    lines = [f"{name}: its steps train many seeds; use `bench ensemble-timing`" for name in joint]
    if not backends:
        raise UsageError(f"nothing to time: {'; '.join(lines)}")
    if options.backends is not None:
        for line in lines + plan.unsupported_configurations(variants, backends):
            print(f"skipped {line}", file=sys.stderr)
    from bench.store.store import THROUGHPUT, Store  # loads pandas

    store = Store(options.results)
    store.prepare([THROUGHPUT])
    # Before torch is loaded: its memory profiler would print lines of its own.
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
            f"{counted(len(measurement.samples), 'row')} stored in {one_line(options.results)}",
            file=sys.stderr,
        )
    finally:
        print(summary(measurement))  # an hour's work is shown even if no disk can hold it
    return 1 if any(timed.status == FAILED for timed, _ in measurement.samples) else 0
