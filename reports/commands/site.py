"""``reports site``: a static site of all nights, which needs no network."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bench.text import counted, one_line
from hnrnn.arguments import Parser, folder, output_folder
from reports.commands.errors import UsageError
from reports.commands.options import Commands
from reports.commands.output import write_files
from reports.history.nights import verdict_page
from reports.history.past import Past, read_past
from reports.runs import untrusted_files
from reports.runs.night import Night
from reports.runs.reading import read
from reports.verdict.findings import read_findings


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    site = commands.add_parser(
        "site",
        help="write a static site of all nights",
        description="Write a static site of all nights: the latest verdict, a chart for each "
        "configuration, and a table with a page for each night. It needs no network.",
    )
    site.add_argument(
        "--history", required=True, type=folder, metavar="DIR",
        help="summaries of all nights, as `check --history` appends them",
    )  # fmt: skip
    site.add_argument(
        "--baseline", type=folder, metavar="DIR",
        help="the kept baseline; default: the last accepted night, or none",
    )  # fmt: skip
    site.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="where to write"
    )
    site.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports site``."""
    if options.baseline is not None and not options.baseline.is_dir():
        raise UsageError(
            f"no baseline {options.baseline}: leave --baseline out, or name its folder"
        )
    baseline = None if options.baseline is None else Night.of(read(options.baseline))
    past = read_past(options.history, baseline)
    if past.nights.empty:
        raise UsageError(
            f"no night can be read in {options.history} "
            f"({counted(len(past.unreadable), 'unreadable file')}): "
            "`python -m reports check --history DIR` appends one"
        )
    import vl_convert

    from reports.pages import site  # loads Altair

    pages, unreadable = _pages(options.history, past)
    past = replace(past, unreadable={**past.unreadable, **unreadable})
    for name, reason in past.unreadable.items():
        print(f"skipped: {one_line(name)}: {one_line(reason)}", file=sys.stderr)
    write_files(
        options.output / "nights",
        {Path(site.address(night)).name: site.night_page(night, pages[night]) for night in pages},
    )
    files = {
        site.LIBRARY: vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
        "index.html": site.front(past, pages, read_findings()),
    }
    write_files(options.output, files)
    nights = counted(past.nights["night"].nunique(), "night")
    print(f"{one_line(options.output / 'index.html')} written, with {nights}")
    return 0


def _pages(folder: Path, past: Past) -> tuple[dict[pd.Timestamp, str], dict[str, str]]:
    """Return the kept pages on the nights' verdicts, and why others cannot be read."""
    pages: dict[pd.Timestamp, str] = {}
    unreadable: dict[str, str] = {}
    for _, rows in past.nights.groupby("night"):
        path = folder / verdict_page(rows)
        try:
            if path.exists():
                pages[rows["night"].iloc[0]] = untrusted_files.read(
                    path, untrusted_files.LARGEST_PAGE
                ).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unreadable[path.relative_to(folder).as_posix()] = one_line(error)
    return pages, unreadable
