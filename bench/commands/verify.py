"""``bench verify``: one seed and two epochs of everything, held against fastai 1.0.61's runs."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial

from bench.commands.options import Commands, add_device, add_number, add_variants, report
from bench.plan.grid import BACKENDS
from bench.plan.plan import find_configurations, inapplicable, parse_names, parse_seeds
from hnrnn import program
from hnrnn.arguments import Parser
from hnrnn.variants import VARIANTS

COSTLY = ("compiled",)
"""Backends that are left out unless they are named: they compile for minutes."""
CONFIRMING_SEEDS = 5
"""Seeds, from 0, that decide where one seed cannot."""


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m bench``."""
    verify = commands.add_parser(
        "verify",
        help="see within a minute whether this machine computes what fastai 1.0.61 computed",
        description="Train every configuration with one seed for two epochs, hold each run against "
        "fastai 1.0.61's own run of that seed, and print how far it departs. Nothing is stored. "
        "Exit code: 0 if all compute the same, 1 if one computes something else or fails, 4 if a "
        "difference can be neither explained by rounding nor called a fault.",
    )
    add_variants(verify)
    verify.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="see `bench list`; default: all that can run here but "
        f"{', '.join(COSTLY)}, which compiles for minutes",
    )
    verify.add_argument(
        "--seeds",
        default="1-1",
        metavar="SEEDS",
        help="as for `bench run`; default: seed 1 alone (seed 0 would hide a run that takes seed 0 "
        "for every seed)",
    )
    add_number(verify, "--epochs", 1000, "epochs of each training", 2)
    add_device(verify)
    verify.add_argument(
        "--inject-fault",
        metavar="NAME",
        help="train with a known fault, as `bench run` does, to see that it is found",
    )
    verify.add_argument(
        "--explain",
        action="store_true",
        help="if a run departs, say at which stage first: initial weights, data, mode of the "
        "layers, hidden state carried over, forward, loss, backward, schedule, optimizer settings, "
        "running statistics of BatchNorm, optimizer step or metric",
    )
    verify.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``bench verify``."""
    variants, seeds = parse_names(options.variants), parse_seeds(options.seeds)
    named = parse_names(options.backends or list(BACKENDS))
    inapplicable(find_configurations(variants, named), options.inject_fault)  # checks the names
    from bench.engines.progress import ProgressDisplay
    from bench.execution.availability import why_unavailable
    from bench.execution.environment import find_device
    from bench.night import run
    from bench.verification.judging import (
        as_text,
        check_seeds,
        closing_sentence,
        exit_code,
        judge,
        near,
    )

    check_seeds(variants, seeds)
    device = find_device(options.device)
    backends = [
        name
        for name in named
        if options.backends or (name not in COSTLY and not why_unavailable(name, device))
    ]
    for each in find_configurations(variants, backends):
        for reason in inapplicable([each], options.inject_fault):
            report(f"left out: {each[0].name} on {each[1]} ({reason})")
    longest = max(VARIANTS[name].epochs for name in variants)
    if options.epochs > longest:
        report(f"--epochs {options.epochs}: a training ends with its recipe, {longest} or fewer")
    with tempfile.TemporaryDirectory() as folder:
        train = partial(
            run,
            device=device,
            epochs=options.epochs,
            injected_fault=options.inject_fault,
            results=folder,
        )
        with ProgressDisplay() as display:
            store = train(variants=variants, backends=backends, seeds=seeds, display=display)
        table = judge(store.read())
        undecided = table[near(table) & (len(seeds) < CONFIRMING_SEEDS)]
        for variant, group in undecided.groupby("variant"):
            more = sorted({*seeds, *range(CONFIRMING_SEEDS)})
            names = ", ".join(group["backend"])
            print(f"{variant} on {names}: {len(more)} seeds decide whether rounding explains it")
            train(variants=[str(variant)], backends=list(group["backend"]), seeds=more)
        if len(undecided):
            table = judge(store.read())
    print(as_text(table))
    if options.explain:
        from bench.verification.explanation import explain_table

        for line in explain_table(table, device, options.inject_fault):
            print(line)
    print(f"\n{closing_sentence(table, options.epochs)}")
    return program.exit_code(exit_code(table))
