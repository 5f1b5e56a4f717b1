"""The command line of ``python -m reports``: commands, options and what is said of them."""

from __future__ import annotations

import argparse

from hnrnn.arguments import Number, Parser, WholeNumber, any_path, folder, output_folder
from hnrnn.program import called_as

NIGHTS, SEEDS = WholeNumber(1, 1000), WholeNumber(1, 10_000)


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
        "--drop",
        type=Number(0.01, 99),
        default=1.0,
        metavar="POINTS",
        help="percentage points, %(type)s; default: 1",
    )
    power.add_argument(
        "--power",
        type=Number(0.25, 0.999),
        default=0.9,
        metavar="P",
        help="probability to see it, %(type)s; default: 0.9",
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
    prove.add_argument("--planted", type=folder, metavar="DIR", help="runs of `bench run --plant`")
    for option, kind, default, what in (
        ("--baselines", NIGHTS, 40, "simulated baselines"),
        ("--nights", NIGHTS, 10, "simulated nights per baseline"),
        ("--seeds", SEEDS, 20, "seeds per night"),
        ("--baseline-seeds", SEEDS, 100, "seeds per baseline"),
    ):
        prove.add_argument(
            option, type=kind, default=default, metavar="N",
            help=f"{what}, %(type)s; default: {default}",
        )  # fmt: skip
    prove.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="where to write"
    )


def _add_baseline(commands: Commands[Parser]) -> None:
    baseline = commands.add_parser("baseline", help="freeze a night, to be held against")
    actions = baseline.add_subparsers(dest="action", required=True, parser_class=Parser)
    freeze = actions.add_parser(
        "freeze",
        help="copy a complete night as the baseline of later ones",
        description="Copy a complete and sound results folder, one file a table.",
    )
    _add_results(freeze)
    freeze.add_argument(
        "--output", required=True, type=output_folder, metavar="DIR", help="a new folder"
    )


def _add_results(parser: Parser) -> None:
    parser.add_argument(
        "--results",
        type=folder,
        default="results",
        metavar="DIR",
        help="what bench run wrote; default: results",
    )


def _add_evidence(parser: Parser) -> None:
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


def _add_output(parser: Parser) -> None:
    parser.add_argument(
        "--output",
        type=output_folder,
        metavar="DIR",
        help="where to write; default: report in the results folder",
    )
