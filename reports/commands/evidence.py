"""What a night is judged by: the options that name it, read."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from bench.text import counted, one_line
from hnrnn.arguments import Parser, any_path, folder, output_folder
from reports.commands.errors import UsageError
from reports.history import nights
from reports.history.past import last_night
from reports.runs.reading import read, read_baseline, without_own
from reports.verdict.evidence import Evidence
from reports.verdict.findings import read_findings


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
    night, baseline = read(options.results), None
    if options.baseline is not None:
        baseline = read_baseline(options.baseline, options.results, night)
        night, count = without_own(night, baseline)
        if count:
            line = f"{counted(count, 'run')} of {options.results} are the baseline's own: left out"
            print(one_line(line), file=sys.stderr)
    evidence = Evidence(
        night=night,
        baseline=baseline,
        confirmation=read(fresh) if there else None,
        confirmation_folder=str(fresh),
        findings=tuple(findings),
        strict=options.strict,
    )
    return _with_last_night(evidence, options)


def _with_last_night(evidence: Evidence, options: argparse.Namespace) -> Evidence:
    """Return the evidence with what ran on the night before, as a history knows it."""
    if options.history is None:
        return evidence
    past, unreadable = nights.read(options.history)
    named = {str(options.history / name): reason for name, reason in unreadable.items()}
    started = evidence.night.runs["started_at"]
    last = last_night(past, started.min(), started.max())
    why = "the history has no earlier night" if last is None else ""
    if options.no_baseline:
        last, why = None, "this night is judged without a baseline on purpose"
    return replace(evidence, last=last, why_no_last=why, unreadable_history=named)
