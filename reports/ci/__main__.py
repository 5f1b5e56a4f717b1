"""What a nightly CI does around the training.

`run` and `throughput` are the commands of `bench`, followed by `reports render`. `judge` checks a
night, trains fresh seeds if something is suspected, checks again, and renders; its exit code is
that of the last check. `keep` puts the night's history and baseline into the git branch that
carries them. `tell` opens an issue for a failed night, or comments on the open one. These two only
need Python, git and GitHub's gh, so that no package is installed beside a token that may write.
"""

from __future__ import annotations

from hnrnn.program import begin, called_as

begin(called_as("hnrnn-ci", "reports.ci"))

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.store.files import write_whole
from bench.text import one_line
from hnrnn.arguments import DEVICES, Parser, folder, output_folder
from reports.ci import issue, keeping
from reports.ci.issue import NIGHT, SUMMARY, VERDICT
from reports.ci.keeping import BASELINE
from reports.ci.processes import python, run
from reports.runs import frozen, untrusted_files

AGREES, USAGE, INCOMPLETE, INCONCLUSIVE, SOFTWARE = 0, 2, 3, 4, 70
JUDGED = (AGREES, 1, INCOMPLETE, INCONCLUSIVE)
"""The exit codes of ``reports check`` that are a verdict."""
BENCH = ("run", "throughput")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    ``run`` and ``throughput`` return the exit code of ``bench``, or else that of ``render``.
    ``judge`` returns that of ``reports check``, but 3 if the night agrees or is inconclusive and
    something else failed, and 70 if ``check`` claims a verdict but wrote none. Its other
    codes, 2, 70 and 74, are returned as they are. ``keep`` and ``tell`` return 0, or 1 if git or gh
    fails or is missing, or if something was damaged and is not kept.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] and words[0] in BENCH:
        return _measure(words)
    parser = make_parser()
    options = parser.parse_args(words)
    try:
        return int(options.carry_out(options))
    except subprocess.CalledProcessError as error:
        failed = f"`{shlex.join(error.cmd)}` failed with exit code {error.returncode}"
    except OSError as error:
        failed = str(error)
    print(f"{parser.prog}: {one_line(failed)}", file=sys.stderr)
    return SOFTWARE if options.carry_out is judge else 1


def make_parser() -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn-ci", "reports.ci"), description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name in BENCH:
        commands.add_parser(name, help=f"`bench {name}` with its options, then render")
    judging = commands.add_parser("judge", help="check, confirm if needed, render and freeze")
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
        "--freeze", action="store_true",
        help="judge by the notebook alone; a night that agrees becomes the new baseline",
    )  # fmt: skip
    judging.set_defaults(carry_out=judge)
    adding = commands.add_parser("keep", help="commit and push the night's history and baseline")
    adding.add_argument(
        "--night", type=folder, required=True, metavar="DIR",
        help="the nights folder that `judge` filled, from the artifact",
    )  # fmt: skip
    adding.add_argument(
        "--kept", type=output_folder, required=True, metavar="DIR",
        help="the checkout of the branch that carries the nights",
    )  # fmt: skip
    adding.add_argument("--freeze", action="store_true", help="replace an older kept baseline")
    adding.set_defaults(carry_out=lambda o: keeping.keep(o.night, o.kept, freeze=o.freeze))
    telling = commands.add_parser("tell", help="open an issue, or comment on the open one")
    telling.add_argument(
        "--report", type=output_folder, required=True, metavar="DIR",
        help="the report folder that `judge` wrote into",
    )  # fmt: skip
    for option, default, what in (
        ("--profile", None, "the night's profile"),
        ("--device", None, "the night's device"),
        ("--seeds", "", "the night's seeds; default: the profile's"),
        ("--backends", "", "the night's backends; default: the profile's"),
        ("--trained", "success", "how the training step ended; default: success"),
        ("--timed", "success", "how the timing step ended; default: success"),
    ):
        telling.add_argument(option, required=default is None, default=default, help=what)
    telling.set_defaults(
        carry_out=lambda o: issue.tell(
            o.report,
            {"training": o.trained, "timing": o.timed},
            issue.repeat(
                o.profile, issue.seeds_of(o.report, o.seeds, o.backends), o.device, o.backends
            ),
        )
    )
    return parser


def _measure(words: Sequence[str]) -> int:
    """Carry out ``bench``, and render its results folder, even after failed runs.

    ``bench`` runs in this process, so that it receives the signals on which it stops.
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
    """A night being judged: the last exit code of ``check``, and what else went wrong."""

    evidence: Sequence[str]
    report: Path
    code: int = SOFTWARE
    problems: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """The night's exit code; a problem makes a night incomplete that has not failed."""
        return INCOMPLETE if self.problems and self.code in (AGREES, INCONCLUSIVE) else self.code

    @property
    def decides(self) -> bool:
        """Whether the night has seeds enough to decide on the notebook on its own."""
        return not self._verdict().get("by_published")

    def check(self) -> None:
        """Check the night; an exit code only counts with a verdict file that agrees."""
        (self.report / VERDICT).unlink(missing_ok=True)
        self.code = _reports("check", *self.evidence)
        if self._verdict().get("exit_code") != self.code:
            self.problems.append(f"`check` reached no verdict: exit code {self.code}")
            self.code = SOFTWARE if self.code in JUDGED else self.code

    def confirm(self, device: str) -> None:
        """Train the fresh seeds that the check asks for, if any, and check again."""
        command = self._verdict().get("confirmation_command")
        if not command or self.code not in JUDGED:
            return
        if "--device" not in command:
            command = [*command, "--device", device]
        trained_on = command[command.index("--device") + 1]
        if device not in ("auto", trained_on):
            self.problems.append(f"--device is {device}, but the night was trained on {trained_on}")
        trained = run(python(command))
        if trained:
            self.problems.append(f"training fresh seeds failed: exit code {trained}")
            return
        self.check()
        if self._verdict().get("confirmation_command"):
            self.problems.append("the suspicion was neither confirmed nor cleared")

    def write(self) -> None:
        """Record how the night ended; without this file ``tell`` assumes a killed ``judge``."""
        verdict = self._verdict().get("verdict")
        content = {"exit_code": self.exit_code, "verdict": verdict, "problems": self.problems}
        self.report.mkdir(parents=True, exist_ok=True)
        write_whole(self.report / NIGHT, f"{json.dumps(content, indent=2)}\n".encode())

    def _verdict(self) -> dict[str, Any]:
        return untrusted_files.read_json(self.report / VERDICT)


def judge(options: argparse.Namespace) -> int:
    """Judge the night and return its exit code.

    Without a kept baseline the night is judged by the notebook alone. If it agrees, by its own
    seeds and not only by the published ones, it becomes the baseline. ``night.json``, which is
    written last, names everything that failed.
    """
    report = options.results / "report"
    for name in (VERDICT, SUMMARY, NIGHT):  # first, so that no file of an earlier call remains
        (report / name).unlink(missing_ok=True)
    baseline = options.kept / BASELINE
    frozen.repair(baseline)
    is_kept = frozen.is_kept(baseline)
    own = is_kept and _is_frozen_already(baseline, options.results)
    against = is_kept and not options.freeze and not own
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
        night.problems += _freeze(options.results, baseline)
    night.write()
    for problem in night.problems:
        print(one_line(problem), file=sys.stderr)
    return night.exit_code


def _is_frozen_already(baseline: Path, results: Path) -> bool:
    """Say whether the kept baseline is this very night, from an earlier ``judge``."""
    from bench.errors import StoreError
    from reports.runs.reading import is_same_night, read_runs

    try:
        return is_same_night(read_runs(baseline), read_runs(results))
    except StoreError:  # `check` reports what is wrong with either
        return False


def _freeze(results: Path, baseline: Path) -> list[str]:
    """Make the night the baseline, as a whole or not at all; return what went wrong."""
    from reports.runs.reading import is_timed

    new, failed = frozen.new_beside(baseline), "the baseline was not frozen"
    then, now = map(is_timed, (baseline, results))
    if then and not now:
        return [
            f"{failed}: unlike the kept one, the night was not timed; delete the kept one first"
        ]
    code = _reports("baseline", "freeze", "--results", str(results), "--output", str(new))
    if code:
        return [f"{failed}: exit code {code}"]
    try:
        frozen.complete(new, throughput=now)
        frozen.swap(baseline)
    except (frozen.NotWholeError, OSError) as error:
        return [f"{failed}: {error}"]
    return []


def _reports(*words: str) -> int:
    return run(python(["python", "-m", "reports", *words]))


if __name__ == "__main__":
    sys.exit(main())
