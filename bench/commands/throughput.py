"""``bench throughput``: times backends side by side, and stores every sample."""

from __future__ import annotations

import argparse
import os

from bench.commands.options import (
    Commands,
    add_device,
    add_dtype,
    add_grid,
    add_number,
    add_results,
    report,
)
from bench.errors import UsageError
from bench.plan.grid import BACKENDS
from bench.plan.plan import find_configurations, parse_names, unsupported_configurations
from bench.plan.profiles import PROFILES
from bench.store.records import FAILED
from bench.text import counted, one_line
from hnrnn.arguments import Parser, output_folder


def add_parser(commands: Commands[Parser]) -> None:
    throughput = commands.add_parser(
        "throughput",
        help="time the backends side by side, and store every sample",
        description="Time training steps, forward passes and validation of every named variant on "
        "every named backend that passes the parity gate, in interleaved rounds, and store every "
        "sample as parquet. The reference backend (custom for Model0 to Model3, otherwise nn) is "
        "always timed, a second time as its own A/A control.",
    )
    add_grid(
        throughput,
        "how long to time",
        lambda profile: f"{profile.rounds} rounds with blocks of {profile.block_seconds:g} s",
        "all but ensemble",
    )
    add_device(throughput)
    add_dtype(throughput)
    add_number(throughput, "--rounds", 10_000, "rounds of timing")
    add_number(throughput, "--threads", 1024, "CPU threads", 1)
    add_results(throughput, output_folder)
    throughput.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Return 1 if a backend failed, or failed its parity gate."""
    profile = PROFILES[options.profile]
    variants = parse_names(options.variants)
    named = list(BACKENDS) if options.backends is None else parse_names(options.backends)
    find_configurations(variants, named)  # reports a wrong name before torch is loaded
    joint = [name for name in named if name in BACKENDS and BACKENDS[name].joint]
    backends = [name for name in named if name not in joint]
    lines = [f"{name}: its steps train many seeds; use `bench ensemble-timing`" for name in joint]
    if not backends:
        raise UsageError(f"nothing to time: {'; '.join(lines)}")
    if options.backends is not None:
        for line in lines + unsupported_configurations(variants, backends):
            report(f"skipped {line}")
    from bench.store.store import THROUGHPUT, Store  # loads pandas

    store = Store(options.results)
    store.prepare([THROUGHPUT])
    # Set before torch is loaded: its memory profiler would print lines of its own.
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
        watch=report,
    )
    try:
        store.write_measurement(measurement)
        stored = counted(len(measurement.samples), "row")
        report(f"{stored} stored in {one_line(options.results)}")
    finally:
        print(summary(measurement))  # also if the disk is full: it took an hour
    return 1 if any(timed.status == FAILED for timed, _ in measurement.samples) else 0
