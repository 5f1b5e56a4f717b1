"""``reports check``: the verdict on a night, as files, lines and an exit code."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from bench.text import one_line
from hnrnn.arguments import Parser
from reports.commands.errors import UsageError
from reports.commands.evidence import OPTIONS, add_evidence, read_evidence
from reports.commands.options import Commands, add_output, add_results
from reports.commands.output import write_files
from reports.history import nights
from reports.pages import machine, verdict_section
from reports.runs.night import Night
from reports.verdict.decision import EXIT_CODES, REGRESSED
from reports.verdict.judgement import Judgement, judge

FAILED = EXIT_CODES[REGRESSED]


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    check = commands.add_parser(
        "check",
        help="judge the stored runs; the exit code is the verdict",
        description="Judge the stored runs: first each against the reference run of its seed, then "
        "against the notebook's tables, and against a baseline if one is given. Exit codes: 0 "
        "agrees, 1 regressed or differs, 2 wrong usage, 3 incomplete or corrupt data, 4 "
        "inconclusive. Writes verdict.json, verdict.xml (JUnit) and verdict.md.",
    )
    add_results(check)
    add_evidence(check)
    add_output(check)
    check.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports check``, and return the exit code of the verdict."""
    evidence = read_evidence(**{name: getattr(options, name) for name in OPTIONS})
    night, judgement = evidence.night, judge(evidence)
    _show(judgement)  # before anything is written, because the disk may be full
    output = options.output or options.results / "report"
    if judgement.exit_code == FAILED:
        words = ["python", "-m", "reports", "baseline", "accept", "--results", options.results]
        words += ["--baseline", options.baseline or "DIR", "--reason", "TEXT"]
        words += ["--history", options.history] if options.history else []
        print(f"if the change is intended, accept it:\n  {one_line(shlex.join(map(str, words)))}")
    files = {
        "verdict.json": machine.as_json(judgement),
        "verdict.xml": machine.as_junit(judgement),
        "verdict.md": verdict_section.as_markdown(judgement),
    }
    write_files(output, files)
    print(f"{one_line(output / 'verdict.md')}, .json and .xml written", file=sys.stderr)
    if options.history is not None:
        _remember(options.history, night, judgement, files["verdict.md"])
    return judgement.exit_code


def _show(judgement: Judgement) -> None:
    """Print the verdict with its reasons, every gate, and what to do next."""
    reasons = "".join(f"\n  {one_line(reason)}" for reason in judgement.reasons)
    print(f"{judgement.verdict}:{reasons}")
    print("gates:" + "".join(f"\n  {one_line(gate)}" for gate in judgement.gates))
    for note in judgement.notes:
        print(one_line(note), file=sys.stderr)
    if judgement.confirmation_seeds:
        print(f"to confirm or clear it:\n  {verdict_section.confirmation_command(judgement)}")


def _remember(folder: Path, night: Night, judgement: Judgement, page: str) -> None:
    summary = nights.summarise(night, judgement)
    try:
        path = nights.append(folder, summary)
    except ValueError as error:
        raise UsageError(f"nothing to append to history {folder}: {error}") from error
    kept = folder / nights.verdict_page(summary)
    write_files(kept.parent, {kept.name: page})
    print(f"{one_line(path)} appended", file=sys.stderr)
