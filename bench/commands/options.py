"""Options that several commands of ``python -m bench`` take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.plan.plan import CHOICES, PROFILES, Profile
from hnrnn.arguments import DEVICES, Parser, WholeNumber
from hnrnn.variants import VARIANTS

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name


def add_variants(parser: Parser) -> None:
    """Add the option that names variants."""
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), metavar="NAME", help="default: all eight"
    )


def add_profile(parser: Parser, what: str, describe: Callable[[Profile], str]) -> None:
    """Add the option that names a profile, which says ``what``."""
    profiles = "; ".join(f"{name}, {describe(profile)}" for name, profile in PROFILES.items())
    parser.add_argument(
        "--profile", choices=PROFILES, default="quick", help=f"{what} ({profiles}); default: quick"
    )


def add_rounds(parser: Parser, default: int | None = None) -> None:
    """Add the option that says how many rounds are timed; None is the profile's number."""
    parser.add_argument(
        "--rounds",
        type=WholeNumber(1, 10_000),
        default=default,
        metavar="N",
        help=f"rounds of timing, %(type)s; default: {default or 'those of the profile'}",
    )


def add_device(parser: Parser) -> None:
    """Add the option that names the device."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto is a GPU if there is one; default: auto",
    )


def add_dtype(parser: Parser) -> None:
    """Add the option that names the dtype."""
    parser.add_argument(
        "--dtype", choices=CHOICES["dtype"], default="float32", help="default: float32"
    )


def add_results(parser: Parser, kind: Callable[[str], Path]) -> None:
    """Add the option that names the results folder, of the type ``kind``."""
    parser.add_argument(
        "--results", type=kind, default="results", metavar="DIR", help="default: results"
    )


def seeds_joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--seeds -1,2`` as one word.

    argparse would take ``-1,2`` for an option, and would not say what is wrong with it.
    """
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--seeds" and word[1:2].isdigit():
            words[-1] = f"--seeds={word}"
        else:
            words.append(word)
    return words
