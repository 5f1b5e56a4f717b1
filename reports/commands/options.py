"""Options that several commands of ``python -m reports`` take."""

from __future__ import annotations

import argparse

from hnrnn.arguments import Parser, folder, output_folder

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


def add_output(parser: Parser) -> None:
    """Add the option that names where to write."""
    parser.add_argument(
        "--output",
        type=output_folder,
        metavar="DIR",
        help="where to write; default: report in the results folder",
    )
