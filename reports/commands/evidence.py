"""What a night is judged by: the options that name it, read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.store.store import Contents
from bench.text import one_line
from hnrnn.arguments import Parser, any_path, folder, output_folder
from reports.commands.errors import UsageError
from reports.history import nights
from reports.history.past import last_night
from reports.runs.reading import read, read_baseline
from reports.verdict.findings import read_findings
from reports.verdict.gates import LastNight
from reports.verdict.judgement import Evidence


def add_evidence(parser: Parser) -> None:
    """Add the options that name what a night is judged by."""
    against = parser.add_mutually_exclusive_group()
    against.add_argument(
        "--baseline",
        type=folder,
        metavar="DIR",
        help="what `baseline freeze` wrote; it then decides",
    )
    against.add_argument(
        "--no-baseline",
        action="store_true",
        help="judge by the notebook alone on purpose: what ran on the last night of --history, and "
        "needs a baseline, is not missed",
    )
    parser.add_argument(
        "--confirmation",
        type=output_folder,  # check prints the command that trains into it
        metavar="DIR",
        help="runs of fresh seeds, that confirm or clear what is suspected; default: confirmation "
        "in the results folder, where there is one",
    )
    parser.add_argument(
        "--findings",
        type=any_path,
        metavar="FILE",
        help="accepted findings; default: the project's",
    )
    parser.add_argument(
        "--history",
        type=output_folder,
        metavar="DIR",
        help="summaries of all nights: check appends tonight's, render shows them",
    )
    parser.add_argument(
        "--strict", action="store_true", help="let an improvement fail the night too"
    )


def read_evidence(options: argparse.Namespace) -> Evidence:
    """Read what the options name.

    Raises UsageError for a baseline that is not there, StoreError and FindingsError for what cannot
    be read.
    """
    fresh: Path = options.confirmation or options.results / "confirmation"
    there = options.confirmation is not None or fresh.is_dir()
    if options.baseline is not None and not options.baseline.is_dir():
        raise UsageError(
            f"no baseline {options.baseline}: "
            f"`python -m reports baseline freeze --output {options.baseline}` makes one"
        )
    findings = read_findings(*[options.findings] if options.findings else [])
    night = read(options.results)
    return Evidence(
        night=night,
        baseline=options.baseline and read_baseline(options.baseline, options.results, night),
        confirmation=read(fresh) if there else None,
        confirmation_folder=str(fresh),
        findings=tuple(findings),
        strict=options.strict,
        last=None if options.no_baseline else _last_night(options.history, night),
    )


def _last_night(folder: Path | None, night: Contents) -> LastNight | None:
    """Return what ran on the night before, as a history knows it; None without one."""
    if folder is None:
        return None
    past, unreadable = nights.read(folder)
    for name, reason in unreadable.items():
        print(one_line(f"{folder / name} cannot be read: {reason}"), file=sys.stderr)
    return last_night(past, night.runs["started_at"].min())
