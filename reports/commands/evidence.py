"""The options that name what a night is judged by, and how they are read."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bench.text import counted, one_line
from hnrnn.arguments import Parser, any_path, folder, output_folder
from reports.commands.errors import UsageError
from reports.history import nights
from reports.history.past import last_night
from reports.runs.night import Night
from reports.runs.reading import read, read_with_baseline
from reports.verdict.acceptance import read_acceptance
from reports.verdict.evidence import Evidence
from reports.verdict.findings import read_findings

OPTIONS = [*("results", "baseline", "without_baseline", "confirmation", "findings", "history")]
"""What ``read_evidence`` takes, as the parser names it."""


def add_evidence(parser: Parser) -> None:
    """Add the options that name what a night is judged by."""
    against = parser.add_mutually_exclusive_group()
    against.add_argument(
        "--baseline",
        type=folder,
        metavar="DIR",
        help="a folder that `baseline freeze` wrote; the verdict then says whether the night is "
        "worse",
    )
    against.add_argument(
        "--no-baseline",
        dest="without_baseline",
        action="store_true",
        help="judge without a baseline, even if the last night of --history was judged with one",
    )
    for option, kind, metavar, what in (
        # check prints the command that trains into the folder
        ("--confirmation", output_folder, "DIR",
         "runs of fresh seeds that confirm or clear a suspicion; default: RESULTS/confirmation"),
        ("--findings", any_path, "FILE", "accepted findings; default: the project's"),
        ("--history", output_folder, "DIR",
         "summaries of all nights: check appends tonight's, and render shows them"),
    ):  # fmt: skip
        parser.add_argument(option, type=kind, metavar=metavar, help=what)


def read_evidence(
    results: Path,
    *,
    baseline: Path | None = None,
    without_baseline: bool = False,
    confirmation: Path | None = None,
    findings: Path | None = None,
    history: Path | None = None,
) -> Evidence:
    """Read a night and what it is judged by; see the help of each option.

    ``without_baseline`` is the option ``--no-baseline``. Raises UsageError for a baseline or a
    folder of fresh seeds that is not there, StoreError and FindingsError for what cannot be read.
    """
    fresh = confirmation or results / "confirmation"
    if baseline is not None and not baseline.is_dir():
        raise UsageError(
            f"no baseline {baseline}: `python -m reports baseline freeze --output {baseline}` "
            "makes one"
        )
    if confirmation is not None and not confirmation.is_dir():
        raise UsageError(
            f"no folder {confirmation} of fresh seeds: run the command that `check` printed"
        )
    accepted = read_findings(*[findings] if findings else [])
    if baseline is None:
        night, before = Night.of(read(results)), None
    else:
        night, before, own = read_with_baseline(results, baseline)
        if own:
            line = f"Left out: {counted(own, 'run')} of {results} that are the baseline's own."
            print(one_line(line), file=sys.stderr)
    there = confirmation is not None or fresh.is_dir()
    evidence = Evidence(
        night=night,
        baseline=before,
        confirmation=Night.of(read(fresh), like=night) if there else None,
        confirmation_folder=str(fresh),
        findings=tuple(accepted),
        accepted=None if baseline is None else read_acceptance(baseline),
    )
    if history is None:
        return evidence
    return _with_last_night(evidence, history, without_baseline=without_baseline)


def _with_last_night(evidence: Evidence, folder: Path, *, without_baseline: bool) -> Evidence:
    """Return the evidence with what ran on the night before, as a history knows it."""
    past, unreadable = nights.read(folder)
    named = {str(folder / name): reason for name, reason in unreadable.items()}
    started = evidence.night.contents.runs["started_at"]
    since, why = None, "the history has no earlier night"
    if evidence.accepted and evidence.baseline:
        since = evidence.baseline.selection.grid["started_at"].min()
        why += " since the baseline was accepted"
    alone = evidence.baseline is None
    last = last_night(past, started.min(), started.max(), since, without_baseline=alone)
    why = why if last is None else ""
    if without_baseline:
        last, why = None, "this night is judged without a baseline on purpose"
    return replace(evidence, last=last, why_no_last=why, unreadable_history=named)
