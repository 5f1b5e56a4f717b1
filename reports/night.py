"""``python -m reports.night``: what a nightly CI does around the training.

``judge`` checks a night, trains fresh seeds where something is suspected, checks again, and
renders; its exit code is that of the last check. ``keep`` puts the night's history and baseline
into the git branch that carries them. ``tell`` opens an issue for a night that failed, or comments
on the open one. The last two need git, GitHub's gh and a bare Python: nothing has to be installed
where a token is held that may write.
"""

from __future__ import annotations

from hnrnn.program import begin

begin("python -m reports.night")

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hnrnn.arguments import DEVICES, Parser, folder, output_folder

VERDICT, SUMMARY = "verdict.json", "summary.md"
NO_VERDICT = "no verdict"
SILENT = ("agrees", "inconclusive")
"""Verdicts that open no issue: nothing is wrong, or too little was run to say so."""
KNOWN = (*SILENT, "regressed", "differs", "incomplete")
LABEL = "nightly"
LONGEST_BODY = 60_000
"""Characters: GitHub takes an issue of 65536."""
KEPT_FILES = re.compile(
    r"history/\d{8}T\d{6}Z-[0-9a-f]{20}\.parquet|baseline/(runs|epochs|throughput)/\1\.parquet"
)
AUTHOR = ("-c", "user.name=nightly", "-c", "user.email=nightly@users.noreply.github.com")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; ``judge`` returns what ``reports check`` does, the others 0.

    Where git or gh fails or is not there, it returns 1.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return int(options.carry_out(options))
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1


def _parser() -> Parser:
    parser = Parser(prog="python -m reports.night", description=__doc__)
    commands = parser.add_subparsers(required=True, parser_class=Parser)
    judging = commands.add_parser("judge", help="check, confirm where needed, render, freeze")
    judging.add_argument("--results", type=folder, default="results", metavar="DIR")
    judging.add_argument("--kept", type=output_folder, default="nights", metavar="DIR")
    judging.add_argument(
        "--device", choices=DEVICES, default="auto", help="where to train fresh seeds"
    )
    judging.add_argument(
        "--freeze",
        action="store_true",
        help="judge by the notebook alone, and take a night that agrees as the new baseline",
    )
    judging.set_defaults(carry_out=judge)
    keeping = commands.add_parser("keep", help="commit and push what the night adds")
    keeping.add_argument("--night", type=folder, required=True, metavar="DIR")
    keeping.add_argument("--kept", type=output_folder, required=True, metavar="DIR")
    keeping.set_defaults(carry_out=keep)
    telling = commands.add_parser("tell", help="open an issue, or comment on the open one")
    telling.add_argument("--report", type=output_folder, required=True, metavar="DIR")
    telling.add_argument("--profile", required=True)
    telling.add_argument("--seeds", default="", help="empty: the profile's")
    telling.add_argument("--device", required=True)
    telling.add_argument("--engine", required=True)
    telling.set_defaults(carry_out=tell)
    return parser


def judge(options: argparse.Namespace) -> int:
    """Check the night and return the exit code; see the module's words.

    Without a kept baseline the night is judged by the notebook alone; where it then agrees, it
    becomes the baseline.
    """
    baseline, report = options.kept / "baseline", options.results / "report"
    against = [] if options.freeze or not baseline.is_dir() else ["--baseline", str(baseline)]
    evidence = ["--results", str(options.results), "--history", str(options.kept / "history")]
    evidence += against
    (report / VERDICT).unlink(missing_ok=True)
    code = _reports("check", *evidence)
    command = _read(report / VERDICT).get("confirmation_command")
    if command:
        _run(*_python(command), "--device", options.device)
        code = _reports("check", *evidence)
    _reports("render", *evidence)
    if code == 0 and not against:
        new = options.kept / "new-baseline"
        frozen = ["--results", str(options.results), "--output", str(new)]
        if _reports("baseline", "freeze", *frozen) == 0:
            shutil.rmtree(baseline, ignore_errors=True)
            new.rename(baseline)
    return code


def keep(options: argparse.Namespace) -> int:
    """Copy the night's history and baseline into the branch's folder, commit and push.

    The night was made elsewhere: only what is named as such files are is taken, and no night that
    is kept already is replaced.
    """
    if (options.night / "baseline").is_dir():
        shutil.rmtree(options.kept / "baseline", ignore_errors=True)
    for path in sorted(path for path in options.night.rglob("*") if path.is_file()):
        name = path.relative_to(options.night)
        if not KEPT_FILES.fullmatch(name.as_posix()):
            print(f"not kept: {name.as_posix()!r}", file=sys.stderr)
        elif not (options.kept / name).exists():
            (options.kept / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, options.kept / name)
    git = ("git", "-C", str(options.kept))
    _run(*git, "add", "--all", "--", ".", check=True)
    if _run(*git, "diff", "--cached", "--quiet") == 0:
        print("nothing new to keep", file=sys.stderr)
        return 0
    _run(*git, *AUTHOR, "commit", "--quiet", "--message", "A night", check=True)
    _run(*git, "push", "--quiet", "origin", "HEAD", check=True)
    return 0


def tell(options: argparse.Namespace) -> int:
    """Open an issue for a night that failed, or comment on the one that is open."""
    verdict = _read(options.report / VERDICT).get("verdict", NO_VERDICT)
    if verdict in SILENT:
        print(f"{verdict}: no issue", file=sys.stderr)
        return 0
    if verdict not in KNOWN:
        verdict = NO_VERDICT
    body = options.report / "issue.md"
    body.parent.mkdir(parents=True, exist_ok=True)
    body.write_text(_body(verdict, options), encoding="utf-8")
    text = ("--body-file", str(body))
    number = open_issue()
    if number is not None:
        _run("gh", "issue", "comment", str(number), *text, check=True)
        return 0
    _run("gh", "label", "create", LABEL, "--force", "--color", "D55E00", check=True)
    _run(
        *("gh", "issue", "create", "--title", f"The nightly run failed: {verdict}"),
        *("--label", LABEL, *text),
        check=True,
    )
    return 0


def open_issue() -> int | None:
    """Return the number of the open issue on a failed night; None where there is none."""
    result = subprocess.run(
        ["gh", "issue", "list", "--label", LABEL, "--state", "open", "--json", "number"],
        capture_output=True,
        text=True,
        check=True,
    )
    numbers = [int(issue["number"]) for issue in json.loads(result.stdout)]
    return max(numbers, default=None)


def repeat(profile: str, seeds: str, device: str, engine: str, commit: str) -> list[str]:
    """Return the commands that repeat a night, to be pasted into a clone."""
    same = ["--profile", profile, "--device", device]
    named = ["--seeds", seeds] if seeds else []
    commands = [
        ["git", "switch", "--detach", commit],
        ["git", "worktree", "add", "--detach", "nights", "origin/nights"],
        ["tox", "-e", "nightly", "--", *same, "--engine", engine, *named],
        ["tox", "-e", "throughput", "--", *same],
        ["tox", "-e", "night", "--", "judge", "--device", device],
    ]
    return [shlex.join(command) for command in commands]


def _body(verdict: str, options: argparse.Namespace) -> str:
    commit = os.environ.get("GITHUB_SHA", "HEAD")
    commands = repeat(options.profile, options.seeds, options.device, options.engine, commit)
    parts = [f"The verdict of tonight: **{verdict}**.", _where()]
    parts += ["To repeat the night:", "```\n" + "\n".join(commands) + "\n```"]
    summary = options.report / SUMMARY
    if summary.is_file():
        parts.append(_demoted(summary.read_text(encoding="utf-8")))
    text = "\n\n".join(part for part in parts if part)
    cut = text.rfind("\n", 0, LONGEST_BODY)
    return text if len(text) <= LONGEST_BODY else f"{text[:cut]}\n\nCut: the job's page has all."


def _demoted(markdown: str) -> str:
    """Return a page without its links, which point to files that are not beside an issue."""
    return re.sub(r"\[(Model\d)\]\(report\.md#\w+\)", r"\1", markdown)


def _where() -> str:
    """Return where the run can be seen; nothing outside GitHub."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    server, repository, run = (os.environ.get(name, "") for name in names)
    return f"{server}/{repository}/actions/runs/{run}" if run else ""


def _read(path: Path) -> dict[str, Any]:
    """Return a verdict; nothing where none was reached."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _reports(*words: str) -> int:
    return _run(*_python(["python", "-m", "reports", *words]))


def _python(words: Sequence[str]) -> list[str]:
    """Return a command with this Python for ``python``."""
    return [sys.executable, *words[1:]]


def _run(*words: str, check: bool = False) -> int:
    """Print a command as it can be pasted, carry it out, and return its exit code."""
    print(f"+ {shlex.join(words)}", file=sys.stderr, flush=True)
    return subprocess.run(words, check=check).returncode


if __name__ == "__main__":
    sys.exit(main())
