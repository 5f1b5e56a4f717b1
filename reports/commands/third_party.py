"""``reports third-party``: which start of the BatchNorm weights explains other people's runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import pandas as pd

from bench.store.store import Contents
from hnrnn import published
from hnrnn.arguments import Parser, folder, output_folder
from reports.commands.errors import UsageError
from reports.commands.options import Commands
from reports.commands.output import write_files
from reports.runs.reading import read
from reports.runs.selection import select
from reports.verdict.third_party import OWN_SEEDS, RUNS, STARTS, hold_own_seeds, hold_runs


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    third_party = commands.add_parser(
        "third-party",
        help="measure which initial BatchNorm weights explain other people's runs",
        description="Hold every third-party run against the seeds of each start, at 1 and drawn "
        "from U(0, 1), and every seed against the others. Writes runs.csv and own_seeds.csv, which "
        "every verdict then shows.",
    )
    third_party.add_argument(
        "--results", nargs="+", required=True, type=folder, metavar="DIR",
        help="results folders with seeds of both starts; a seed that several have is read once",
    )  # fmt: skip
    third_party.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="where to write"
    )
    third_party.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports third-party``."""
    contents = [read(each) for each in options.results]
    ones, uniform = (_epochs(contents, start) for start in STARTS)
    for start, epochs in zip(STARTS, (ones, uniform), strict=True):
        print(f"{start}: {len(epochs.groupby(['variant', 'seed']))} seeds of all models")
    files = {
        RUNS: hold_runs(published.third_party_runs(), ones, uniform),
        OWN_SEEDS: hold_own_seeds(ones, uniform),
    }
    write_files(options.output, {name: data.to_csv(index=False) for name, data in files.items()})
    return 0


def _epochs(folders: Iterable[Contents], start: str) -> pd.DataFrame:
    """Return the epochs of all seeds with this start, each from the first folder that has it.

    Raises UsageError where none has any.
    """
    parts = []
    for contents in folders:
        selection = select(contents, initialisation=start)
        if (selection.runs["initialisation"] == start).all():
            parts.append(selection.epochs)
    if not parts:
        raise UsageError(f"no results folder has runs of `bench run --initialisation {start}`")
    return pd.concat(parts).drop_duplicates(["variant", "seed", "epoch"])
