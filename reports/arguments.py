"""The command line of ``python -m reports``: commands, options and what is said of them."""

from __future__ import annotations

import argparse

from hnrnn.arguments import Parser, called_as


def make_parser(description: str | None) -> Parser:
    """Return the command line's parser."""
    parser = Parser(prog=called_as("hnrnn-reports", "reports"), description=description)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    _add_render(commands)
    _add_check(commands)
    _add_power(commands)
    _add_prove(commands)
    _add_baseline(commands)
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its type no other name


def _add_render(commands: Commands[Parser]) -> None:
    render = commands.add_parser(
        "render", help="write report.md and one PNG per model from the stored runs"
    )
    _add_results(render)
    _add_evidence(render)
    _add_output(render)


def _add_check(commands: Commands[Parser]) -> None:
    check = commands.add_parser(
        "check",
        help="judge the stored runs; the exit code is the verdict",
        description="Judge the stored runs: against the notebook, and against a baseline where "
        "one is given. Exit codes: 0 agrees, 1 regressed or differs, 2 wrong usage, 3 incomplete "
        "or corrupt data, 4 inconclusive. Writes verdict.json, verdict.xml (JUnit) and verdict.md.",
    )
    _add_results(check)
    _add_evidence(check)
    _add_output(check)


def _add_power(commands: Commands[Parser]) -> None:
    power = commands.add_parser(
        "power",
        help="how many seeds a night needs to see a fall of the accuracy",
        description="Say how many seeds each square needs to see its mean final accuracy fall, at "
        "one false alarm a year, from the spread of the seeds at hand.",
    )
    _add_results(power)
    power.add_argument(
        "--drop", type=float, default=1.0, metavar="POINTS", help="percentage points; default: 1"
    )
    power.add_argument(
        "--power", type=float, default=0.9, metavar="P", help="probability to see it; default: 0.9"
    )


def _add_prove(commands: Commands[Parser]) -> None:
    prove = commands.add_parser(
        "prove",
        help="measure check itself: false alarms, and planted faults found",
        description="Judge simulated nights by `check`: nights without a change, made of seeds "
        "of the results folder, and nights with the faults that `bench run --plant` trained. "
        "Writes null_nights.csv and faults.csv, which every verdict then shows.",
    )
    _add_results(prove)
    prove.add_argument("--planted", metavar="DIR", help="runs of `bench run --plant`")
    prove.add_argument(
        "--baselines", type=int, default=40, metavar="N", help="baselines; default: 40"
    )
    prove.add_argument(
        "--nights", type=int, default=10, metavar="N", help="nights a baseline; default: 10"
    )
    prove.add_argument(
        "--seeds", type=int, default=20, metavar="N", help="seeds a night; default: 20"
    )
    prove.add_argument("--baseline-seeds", type=int, default=100, metavar="N", help="default: 100")
    prove.add_argument("--output", required=True, metavar="DIR", help="where to write")


def _add_baseline(commands: Commands[Parser]) -> None:
    baseline = commands.add_parser("baseline", help="freeze a night, to be held against")
    actions = baseline.add_subparsers(dest="action", required=True, parser_class=Parser)
    freeze = actions.add_parser(
        "freeze",
        help="copy a complete night as the baseline of later ones",
        description="Copy a complete and sound results folder, one file a table.",
    )
    _add_results(freeze)
    freeze.add_argument("--output", required=True, metavar="DIR", help="a new folder")


def _add_results(parser: Parser) -> None:
    parser.add_argument(
        "--results", default="results", metavar="DIR", help="what bench run wrote; default: results"
    )


def _add_evidence(parser: Parser) -> None:
    parser.add_argument(
        "--baseline", metavar="DIR", help="what `baseline freeze` wrote; it is then the gate"
    )
    parser.add_argument(
        "--confirmation",
        metavar="DIR",
        help="runs of fresh seeds, that confirm or clear what is suspected; default: confirmation "
        "in the results folder, where there is one",
    )
    parser.add_argument(
        "--findings", metavar="FILE", help="accepted findings; default: the project's"
    )
    parser.add_argument(
        "--history",
        metavar="DIR",
        help="summaries of all nights: check appends tonight's, render shows them",
    )
    parser.add_argument(
        "--strict", action="store_true", help="let an improvement fail the night too"
    )


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "--output", metavar="DIR", help="where to write; default: report in the results folder"
    )
