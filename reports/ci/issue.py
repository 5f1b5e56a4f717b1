"""``tell``: open an issue for a failed night.

The night's files come from another machine. Their content is shown as plain text, and an unreadable
file counts as a failure.
"""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.text import one_line
from reports.ci.processes import output, run
from reports.runs import untrusted_files

VERDICT, NIGHT, SUMMARY = "verdict.json", "night.json", "summary.md"
NO_VERDICT, INCOMPLETE = "no verdict", "incomplete"
SILENT = ("agrees", "inconclusive")
"""Verdicts that open no issue: nothing is wrong, or too few seeds were run to tell."""
KNOWN = (*SILENT, "regressed", "differs", INCOMPLETE)
LABEL = "nightly"
LONGEST_BODY = 60_000
"""The limit in characters; GitHub's own is 65536."""
MOST_PROBLEMS = 20

MARKUP = re.compile(r"(\||\*\*|^#{1,6} )")
"""The formatting that a foreign page keeps: tables, bold, headings."""
LIVE = re.compile(r"://|www\.|[@#]|\bGH-", re.IGNORECASE)
"""What GitHub turns into a link or a mention, even without markup."""
WORD_JOINER = "\u2060"
"""A character without width that breaks up links and mentions."""
SEEDS = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
LONGEST_SEEDS = 1000
ENSEMBLE = "ensemble"
SPECIAL = re.compile(r"[^\w .,;:()+\-=%/'\"!?@#]|_")


def tell(report: Path, steps: Mapping[str, str], commands: Sequence[str]) -> int:
    """Open an issue for a night that failed, or comment on the one that is open.

    ``report`` is the folder of the report, ``steps`` how each step of the workflow ended, and
    ``commands`` repeat the night.
    """
    verdict, problems = _tonight(report, steps)
    if verdict in SILENT:
        print(f"{verdict}: no issue", file=sys.stderr)
        return 0
    body = _body(verdict, problems, report, commands)
    text = ("--body-file", "-")  # standard input, since the disk may be full
    number = _open_issue()
    if number is not None:
        run(["gh", "issue", "comment", str(number), *text], check=True, text=body)
        return 0
    run(["gh", "label", "create", LABEL, "--force", "--color", "D55E00"])
    title = ["--title", f"The nightly run failed: {verdict}", "--label", LABEL]
    run(["gh", "issue", "create", *title, *text], check=True, text=body)
    return 0


def seeds_of(report: Path, asked: str, backends: str) -> str:
    """Return the seeds that repeat a night: those ``asked`` for, or those that its ensembles had.

    Half of theirs are others every day, unless a range or a list was asked for. Where other
    backends are named too, which have the same option, only what was asked for can be repeated.
    """
    trained = untrusted_files.read_json(report / VERDICT).get("ensemble_seeds")
    fixed = asked and not asked.isdecimal()
    if fixed or backends not in ("", ENSEMBLE) or not isinstance(trained, str):
        return asked
    return trained if SEEDS.fullmatch(trained) and len(trained) <= LONGEST_SEEDS else asked


def repeat(profile: str, seeds: str, device: str, backends: str) -> list[str]:
    """Return the commands that repeat a night of the workflow's commit in a clone."""
    commit = os.environ.get("GITHUB_SHA", "HEAD")
    same = ["--profile", profile, "--device", device]
    named = [f"--backends={backends}"] if backends else []
    named += [f"--seeds={seeds}"] if seeds else []
    commands = [
        ["git", "switch", "--detach", commit],
        ["git", "worktree", "add", "--detach", "nights", "origin/nights"],
        ["tox", "-e", "nightly", "--", *same, *named],
        ["tox", "-e", "throughput", "--", *same],
        ["tox", "-e", "night", "--", "judge", "--device", device],
    ]
    return [shlex.join(command) for command in commands]


def neutral(markdown: str) -> str:
    """Return a foreign page as markdown with only its tables, bold and headings.

    Links, images, mentions, references, HTML and code are shown as they are written. Entities are
    resolved first, because GitHub finds mentions in the resolved text.
    """
    return "\n".join(
        "".join(part if MARKUP.fullmatch(part) else _as_text(part) for part in MARKUP.split(line))
        for line in map(str.strip, markdown.splitlines())
    )


def _as_text(markdown: str) -> str:
    text = html.unescape(markdown).replace(WORD_JOINER, "")
    text = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.splitlines()))
    text = LIVE.sub(lambda m: f"{m[0][0]}{WORD_JOINER}{m[0][1:]}{WORD_JOINER}", text)
    return SPECIAL.sub(lambda m: f"&#{ord(m[0])};", text)


def _tonight(report: Path, steps: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return the night's verdict, which is not silent if anything went wrong, and the problems."""
    judged, night = (untrusted_files.read_json(report / name) for name in (VERDICT, NIGHT))
    verdict = judged.get("verdict")
    if verdict not in KNOWN:
        verdict = NO_VERDICT
    problems = [
        f"the {step} step ended with {outcome!r}"
        for step, outcome in steps.items()
        if outcome != "success"
    ]
    named = night.get("problems")
    if not isinstance(named, list) or night.get("verdict") != judged.get("verdict"):
        problems.append("`judge` did not finish: it was killed, or its files are damaged")
    else:
        problems += map(str, named)
    if verdict in SILENT and problems:
        verdict = INCOMPLETE
    return verdict, problems


def _open_issue() -> int | None:
    """Return the number of the open issue on a failed night, if any."""
    words = ["gh", "issue", "list", "--label", LABEL, "--state", "open", "--json", "number"]
    try:
        numbers = [int(issue["number"]) for issue in json.loads(output(words))]
    except (subprocess.CalledProcessError, ValueError, LookupError, TypeError) as error:
        print(f"cannot list the open issues: {one_line(error)}", file=sys.stderr)
        return None
    return max(numbers, default=None)


def _body(verdict: str, problems: Sequence[str], report: Path, commands: Sequence[str]) -> str:
    parts = [f"The verdict of tonight: **{verdict}**.", _where(os.environ)]
    parts += ["\n".join(f"- {neutral(one_line(each))}" for each in problems[:MOST_PROBLEMS])]
    parts += ["To repeat the night:", _fenced("\n".join(commands))]
    try:
        summary = untrusted_files.read(report / SUMMARY).decode("utf-8", errors="replace")
    except OSError as error:
        parts.append(f"There is no summary: {neutral(one_line(error))}")
    else:
        parts.append(neutral(summary))
    text = "\n\n".join(part for part in parts if part)
    cut = text.rfind("\n", 0, LONGEST_BODY)
    return text if len(text) <= LONGEST_BODY else f"{text[:cut]}\n\nCut: see the job's page."


def _fenced(text: str) -> str:
    """Return text as a code block that it cannot break out of."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def _where(environment: Mapping[str, str]) -> str:
    """Return the address of the workflow's run; empty outside GitHub."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, number = (environment.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{number}" if number else ""
