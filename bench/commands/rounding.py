"""``bench rounding``: how far healthy executions of one seed are from the reference runs."""

from __future__ import annotations

import argparse
import sys

from bench.commands.options import Commands, add_device, add_number, add_variants
from bench.errors import UsageError
from bench.plan.faults import FAULTS
from bench.plan.grid import NOTEBOOK
from bench.plan.plan import find_configurations, parse_names, parse_seeds
from bench.verification.kinds import KINDS, Kind
from hnrnn.arguments import Parser, any_path

HEALTHY, FAULTY = "healthy", "faults"
"""The folders inside the output folder."""


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    rounding = commands.add_parser(
        "rounding",
        help="measure how far healthy executions of one seed are from the reference runs",
        description="Train every variant in ways that compute the same and round differently, "
        "measure how far each seed is from its reference run, and write what `bench verify` needs: "
        "the limits, their false-alarm and detection rates, and what each stage of a training "
        "computes. What is in the output folder already is not trained again.",
    )
    rounding.add_argument(
        "--output", required=True, type=any_path, metavar="DIR", help="the folder of measurements"
    )
    rounding.add_argument(
        "--results",
        nargs="+",
        type=any_path,
        default=[],
        metavar="DIR",
        help="results folders whose healthy runs are added, a kind per backend",
    )
    rounding.add_argument(
        "--kinds",
        nargs="+",
        default=list(KINDS),
        metavar="NAME",
        help=f"{', '.join(KINDS)}, or the injected faults of `bench run`; default: every healthy "
        "kind",
    )
    add_variants(rounding)
    rounding.add_argument(
        "--seeds", default="30", metavar="SEEDS", help="as for `bench run`; default: 30"
    )
    add_number(rounding, "--epochs", 1000, "epochs of each training", 4)
    add_device(rounding)
    add_number(rounding, "--jobs", 1024, "processes at a time", 1)
    rounding.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench rounding``."""
    variants = parse_names(options.variants)
    find_configurations(variants, [NOTEBOOK])  # whatever is wrong with a name is said at once
    kinds = [find_kind(name) for name in parse_names(options.kinds)]
    seeds = parse_seeds(options.seeds)
    from bench.execution.environment import find_device
    from bench.verification.measurement import add_store, measure

    device = find_device(options.device)

    healthy, faulty = options.output / HEALTHY, options.output / FAULTY
    for folder in options.results:
        add_store(folder, healthy)
    for folder, named in (
        (healthy, [kind for kind in kinds if kind.name in KINDS]),
        (faulty, [kind for kind in kinds if kind.name not in KINDS]),
    ):
        measure(
            named,
            folder,
            variants=variants,
            seeds=seeds,
            epochs=options.epochs,
            device=device,
            jobs=options.jobs,
            say=lambda line: print(line, file=sys.stderr),
        )
    from bench.verification.summary import summarise, write_stages

    print(summarise(healthy, faulty, options.output))
    write_stages(options.output)
    return 0


def find_kind(name: str) -> Kind:
    """Return a healthy kind or an injected fault by name; raise UsageError for another name."""
    if name in KINDS:
        return KINDS[name]
    if name in FAULTS and not FAULTS[name].control:
        return Kind(name, FAULTS[name].description, injected_fault=name)
    faults = (fault.name for fault in FAULTS.values() if not fault.control)
    raise UsageError(f"unknown kind {name!r}: choose from {', '.join((*KINDS, *faults))}")
