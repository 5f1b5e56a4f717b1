"""Options that several commands of ``python -m bench`` take."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hnrnn.arguments import DEVICES, Parser, WholeNumber
from hnrnn.variants import VARIANTS

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name
ROUNDS = WholeNumber(1, 10_000)


def add_variants(parser: Parser) -> None:
    """Add the option that names variants."""
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), metavar="NAME", help="default: all eight"
    )


def add_device(parser: Parser) -> None:
    """Add the option that names the device."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="auto is a GPU where there is one; default",
    )


def add_dtype(parser: Parser) -> None:
    """Add the option that names the dtype."""
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="default: float32"
    )


def add_results(parser: Parser, kind: Callable[[str], Path]) -> None:
    """Add the option that names the results folder, of the type ``kind``."""
    parser.add_argument(
        "--results", type=kind, default="results", metavar="DIR", help="default: results"
    )


def seeds_joined(arguments: Sequence[str]) -> list[str]:
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
