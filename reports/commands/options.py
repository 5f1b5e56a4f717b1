"""Options that several commands of ``python -m reports`` take."""

from __future__ import annotations

import argparse

from hnrnn.arguments import Parser, folder

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name


def add_results(parser: Parser) -> None:
    """Add the option that names the results folder."""
    parser.add_argument(
        "--results",
        type=folder,
        default="results",
        metavar="DIR",
        help="what bench run wrote; default: results",
    )
