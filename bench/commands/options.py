"""Options and output that several commands of ``python -m bench`` share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.plan.plan import CHOICES
from bench.plan.profiles import PROFILES, Profile
from hnrnn.arguments import DEVICES, Parser, WholeNumber
from hnrnn.variants import VARIANTS

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name


def add_variants(parser: Parser) -> None:
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), metavar="NAME", help="default: all eight"
    )


def add_grid(
    parser: Parser, purpose: str, describe: Callable[[Profile], str], backends: str
) -> None:
    """Add ``--profile``, ``--variants`` and ``--backends``.

    ``describe`` says what a profile means for this command, and ``backends`` which are the default.
    """
    profiles = "; ".join(f"{name}: {describe(profile)}" for name, profile in PROFILES.items())
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help=f"{purpose} ({profiles}); default: quick",
    )
    add_variants(parser)
    parser.add_argument(
        "--backends",
        nargs="+",
        metavar="NAME",
        help="names as in `bench list`, or notebook for each variant's own backend; "
        f"default: {backends}",
    )


def add_number(
    parser: Parser, option: str, most: int, meaning: str, default: int | str = "the profile's"
) -> None:
    """Add an option for a whole number from 1 to ``most``; a default in words means None."""
    parser.add_argument(
        option,
        type=WholeNumber(1, most),
        default=default if isinstance(default, int) else None,
        metavar="N",
        help=f"{meaning}, %(type)s; default: {default}",
    )


def add_device(parser: Parser) -> None:
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto is a GPU if there is one; default: auto",
    )


def add_dtype(parser: Parser) -> None:
    parser.add_argument(
        "--dtype", choices=CHOICES["dtype"], default="float32", help="default: float32"
    )


def add_results(parser: Parser, kind: Callable[[str], Path]) -> None:
    """Add ``--results``, a folder of the type ``kind``."""
    parser.add_argument(
        "--results", type=kind, default="results", metavar="DIR", help="default: results"
    )


def report(line: str) -> None:
    """Print a line of progress to standard error."""
    print(line, file=sys.stderr)


def seeds_joined(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--seeds -1,2`` as one word; argparse takes -1,2 for an option."""
    words: list[str] = []
    for word in arguments:
        if words and words[-1] == "--seeds" and word[1:2].isdigit():
            words[-1] = f"--seeds={word}"
        else:
            words.append(word)
    return words
