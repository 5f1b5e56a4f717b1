"""``python -m reports.ci``: what a nightly CI does around the training.

``run`` and ``throughput`` are those of ``bench``, and render what they have stored. ``judge``
checks a night, trains fresh seeds where something is suspected, checks again, and renders; its exit
code is that of the last check. ``keep`` puts the night's history and baseline into the git branch
that carries them. ``tell`` opens an issue for a night that failed, or comments on the open one. The
last two need git, GitHub's gh and a bare Python: nothing has to be installed where a token is held
that may write.
"""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-ci", "reports.ci"))

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.store.files import write_whole
from bench.text import one_line
from hnrnn.arguments import DEVICES, Parser, folder, output_folder
from reports.ci import foreign, frozen, issue, keeping
from reports.ci.issue import NIGHT, SUMMARY, VERDICT
from reports.ci.processes import python, run

AGREES, USAGE, INCOMPLETE, INCONCLUSIVE, SOFTWARE, INTERRUPTED = 0, 2, 3, 4, 70, 130
JUDGED = (AGREES, 1, INCOMPLETE, INCONCLUSIVE)
"""Exit codes of ``reports check`` that are a verdict."""
BENCH = ("run", "throughput")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    ``run`` and ``throughput`` return what ``bench`` does, or else ``render``. ``judge`` returns
    what ``reports check`` does; 3 for a night that agrees or is inconclusive, of which something
    else failed; 70 where ``check`` came to no verdict. ``keep`` and ``tell`` return 0, or 1 where
    git or gh fails or is not there, or where something was damaged and is not kept.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] and words[0] in BENCH:
        return _measure(words)
    parser = make_parser()
    options = parser.parse_args(_joined(words))
    try:
        return int(options.carry_out(options))
    except (subprocess.CalledProcessError, OSError) as error:
        print(f"{parser.prog}: {one_line(error)}", file=sys.stderr)
        return SOFTWARE if options.carry_out is judge else 1
    except KeyboardInterrupt:
        print(f"\n{parser.prog}: stopped", file=sys.stderr)
        return INTERRUPTED


def make_parser() -> Parser:
    """Return the command line's parser."""
    program = called_as("hnrnn-ci", "reports.ci")
    parser = Parser(prog=program, description=__doc__)
    commands = parser.add_subparsers(required=True, parser_class=Parser)
    for name in BENCH:
        commands.add_parser(name, help=f"`bench {name}`, with its options; then render")
    judging = commands.add_parser("judge", help="check, confirm where needed, render, freeze")
    judging.add_argument(
        "--results", type=folder, default="results", metavar="DIR",
        help="what was trained; default: results",
    )  # fmt: skip
    judging.add_argument(
        "--kept", type=output_folder, default="nights", metavar="DIR",
        help="the history and the baseline of earlier nights; default: nights",
    )  # fmt: skip
    judging.add_argument(
        "--device", choices=DEVICES, default="auto", help="where to train fresh seeds"
    )
    judging.add_argument(
        "--freeze",
        action="store_true",
        help="judge by the notebook alone, and take a night that agrees as the new baseline",
    )
    judging.set_defaults(carry_out=judge)
    adding = commands.add_parser("keep", help="commit and push what the night adds")
    adding.add_argument(
        "--night", type=folder, required=True, metavar="DIR",
        help="the nights folder of the artifact that `judge` filled",
    )  # fmt: skip
    adding.add_argument(
        "--kept", type=output_folder, required=True, metavar="DIR",
        help="the checkout of the branch that carries the nights",
    )  # fmt: skip
    adding.add_argument("--freeze", action="store_true", help="replace the kept baseline, if older")
    adding.set_defaults(carry_out=keep)
    telling = commands.add_parser("tell", help="open an issue, or comment on the open one")
    telling.add_argument(
        "--report", type=output_folder, required=True, metavar="DIR",
        help="the report folder that `judge` wrote into",
    )  # fmt: skip
    telling.add_argument("--profile", required=True, help="the profile of the night")
    telling.add_argument("--seeds", default="", help="the seeds of the night; empty: the profile's")
    telling.add_argument("--device", required=True, help="the device of the night")
    telling.add_argument(
        "--backends", default="", help="the backends of the night; empty: the profile's"
    )
    for step in ("trained", "timed"):
        telling.add_argument(
            f"--{step}",
            default="success",
            metavar="OUTCOME",
            help=f"how the step that {step} ended",
        )
    telling.set_defaults(carry_out=issue.tell)
    return parser


def _joined(words: Sequence[str]) -> list[str]:
    """Return the words of ``tell`` with each option and its value as one word.

    argparse takes a value that starts with a dash for an option, and no issue would be opened.
    """
    if words[:1] != ["tell"] or words[1:2] in (["-h"], ["--help"]):
        return list(words)
    joined: list[str] = []
    rest = iter(words)
    for word in rest:
        value = next(rest, None) if word.startswith("--") and "=" not in word else None
        joined.append(word if value is None else f"{word}={value}")
    return joined


def _measure(words: Sequence[str]) -> int:
    """Carry out ``bench``, and render the folder that it stored in; a failed night is shown too.

    In this process, which so gets the signals that ``bench`` knows how to end on.
    """
    from bench.__main__ import main as bench
    from bench.__main__ import make_parser as bench_parser
    from bench.commands.options import seeds_joined
    from reports.__main__ import main as reports

    options = bench_parser().parse_args(seeds_joined(words))
    code = bench(words)
    if code == USAGE or code >= SOFTWARE:
        return code
    rendered = reports(["render", f"--results={options.results}"])
    return code or rendered


@dataclass
class Judging:
    """The state of ``judge``: the last exit code of ``check``, and what else went wrong."""

    evidence: Sequence[str]
    report: Path
    code: int = SOFTWARE
    problems: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The night's: with a problem it neither agrees nor is inconclusive."""
        return INCOMPLETE if self.problems and self.code in (AGREES, INCONCLUSIVE) else self.code

    @property
    def decides(self) -> bool:
        """Whether the night has seeds enough to decide on the notebook on its own."""
        return not foreign.read_json(self.report / VERDICT).get("by_published")

    def check(self) -> None:
        """Check the night; an exit code without the verdict that belongs to it is no verdict."""
        (self.report / VERDICT).unlink(missing_ok=True)
        self.code = _reports("check", *self.evidence)
        if foreign.read_json(self.report / VERDICT).get("exit_code") != self.code:
            self.problems.append(f"`check` came to no verdict: it ended with exit code {self.code}")
            self.code = SOFTWARE if self.code in JUDGED else self.code

    def confirm(self, device: str) -> None:
        """Train the fresh seeds that the check asks for, if any, and check again."""
        command = foreign.read_json(self.report / VERDICT).get("confirmation_command")
        if not command or self.code not in JUDGED:
            return
        if "--device" not in command:
            command = [*command, "--device", device]
        trained_on = command[command.index("--device") + 1]
        if device not in ("auto", trained_on):
            line = f"the night was trained on {trained_on}, and --device says {device}"
            self.problems.append(line)
        trained = run(python(command))
        if trained:
            self.problems.append(f"fresh seeds were not trained: exit code {trained}")
            return
        self.check()
        if foreign.read_json(self.report / VERDICT).get("confirmation_command"):
            self.problems.append("what is suspected was neither confirmed nor cleared")

    def write(self) -> None:
        """Say how the night ended; without this file ``tell`` takes ``judge`` for killed."""
        verdict = foreign.read_json(self.report / VERDICT).get("verdict")
        content = {"exit_code": self.exit_code, "verdict": verdict, "problems": self.problems}
        write_whole(self.report / NIGHT, f"{json.dumps(content, indent=2)}\n".encode())


def judge(options: argparse.Namespace) -> int:
    """Check the night and return the exit code; see the module's words.

    Without a kept baseline the night is judged by the notebook alone. Where it then agrees, by its
    own seeds and not by the published ones, it becomes the baseline. Whatever fails is written into
    ``night.json``, which is written last.
    """
    report = options.results / "report"
    for name in (VERDICT, SUMMARY, NIGHT):  # first: whatever happens, none of an earlier call stays
        (report / name).unlink(missing_ok=True)
    frozen.repair(options.kept)
    baseline = options.kept / frozen.BASELINE
    own = frozen.is_kept(options.kept) and _is_frozen_already(baseline, options.results)
    against = frozen.is_kept(options.kept) and not options.freeze and not own
    evidence = ["--results", str(options.results), "--history", str(options.kept / "history")]
    evidence += ["--baseline", str(baseline)] if against else []
    evidence += ["--no-baseline"] if options.freeze or own else []
    night = Judging(evidence, report)
    if against and (baseline / frozen.MANIFEST).exists():
        try:
            frozen.examine(baseline)
        except frozen.NotWholeError as error:
            night.problems.append(f"the kept baseline is damaged: {error}")
    night.check()
    night.confirm(options.device)
    rendered = _reports("render", *evidence)
    if rendered:
        night.problems.append(f"the report was not rendered: exit code {rendered}")
    if night.code == AGREES and not night.problems and not against and night.decides and not own:
        night.problems += _freeze(options.results, options.kept)
    night.report.mkdir(parents=True, exist_ok=True)
    night.write()
    for problem in night.problems:
        print(one_line(problem), file=sys.stderr)
    return night.exit_code


def _is_frozen_already(baseline: Path, results: Path) -> bool:
    """Say whether the kept baseline is this very night: ``judge`` was called before."""
    from bench.errors import StoreError
    from reports.runs.reading import is_same_night, read_runs

    try:
        return is_same_night(read_runs(baseline), read_runs(results))
    except StoreError:  # whatever is wrong with either, `check` says it
        return False


def _freeze(results: Path, kept: Path) -> list[str]:
    """Take the night as the baseline, all of it or none; return what went wrong."""
    new = kept / frozen.NEW
    timed = [
        any((folder / "throughput").glob("*.parquet"))
        for folder in (kept / frozen.BASELINE, results)
    ]
    if timed == [True, False]:
        meant = "delete the kept one first, if that is meant"
        return [f"the baseline was not frozen: the kept one was timed, this night was not: {meant}"]
    code = _reports("baseline", "freeze", "--results", str(results), "--output", str(new))
    if code:
        return [f"the baseline was not frozen: exit code {code}"]
    try:
        frozen.complete(new, throughput=any((results / "throughput").glob("*.parquet")))
        frozen.swap(kept)
    except (frozen.NotWholeError, OSError) as error:
        return [f"the baseline was not frozen: {error}"]
    return []


def keep(options: argparse.Namespace) -> int:
    """Commit and push what the night adds."""
    return keeping.keep(options.night, options.kept, freeze=options.freeze)


def _reports(*words: str) -> int:
    return run(python(["python", "-m", "reports", *words]))


if __name__ == "__main__":
    sys.exit(main())
