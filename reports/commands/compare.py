"""``reports compare``: is one table of runs worse than another, for tables from anywhere."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.text import one_line
from hnrnn.arguments import Number, Parser, any_path, filled, output_folder
from hnrnn.program import exit_code
from reports.commands.errors import UsageError
from reports.commands.options import Commands
from reports.commands.output import write_files, writing_into
from reports.pages import compared_tables
from reports.runs.last_values import Columns, Runs, one_row_per_run
from reports.runs.tidy_tables import TableError, read_table
from reports.verdict.two_tables import LEFT_OUT, LEVEL, WORST, Comparison, compare_tables

COLUMNS = {
    "--metric": "a column of values; repeat it for several, which are tested together",
    "--by": "the column that tells runs apart, such as the seed: runs of one value are pairs; "
    "repeat it for several columns; default: every row is a run of its own",
    "--configuration": "a column whose values are tested side by side, such as the model; repeat "
    "it for several columns",
    "--lower-is-better": "a metric of which lower values are better; default: those named like a "
    "loss, an error or a duration",
    "--higher-is-better": "a metric of which higher values are better; default: all others",
}
"""The options that name columns, which may be given several times."""
LOWER_IS_BETTER = re.compile(
    r"(?<![a-z])(log)?"
    r"(loss|err|error|errors|perplexity|ppl|mse|mae|rmse|nll|bpc|bpb|wer|cer|fid|seconds|latency)"
    r"(?![a-z])",
    re.IGNORECASE,
)
"""Names of metrics of which lower values are better, unless it is said otherwise."""


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    compare = commands.add_parser(
        "compare",
        help="say whether one table of runs is worse than another, for tables of your own",
        description="Test whether the runs of a second table are worse than those of a first: CSV, "
        "TSV, JSON, JSON lines or parquet, as pandas, Weights & Biases and MLflow write them, or a "
        "results folder. One row per run, or one per run and step, of which the last counts. Exit "
        "codes: 0 nothing is worse, 1 something is worse, 2 wrong usage, 3 runs or values of the "
        "second table are missing, 4 too few runs to reject anything.",
    )
    for name, what in (("before", "the table of the old runs"), ("after", "that of the new ones")):
        compare.add_argument(name, type=any_path, metavar=name.upper(), help=what)
    for option, what in COLUMNS.items():
        compare.add_argument(
            option, action="append", required=option == "--metric", type=filled, metavar="COLUMN",
            help=what,
        )  # fmt: skip
    compare.add_argument(
        "--step", type=filled, metavar="COLUMN",
        help="the column of epochs or steps; default: one named epoch, step or the like, where "
        "runs have several rows",
    )  # fmt: skip
    compare.add_argument(
        "--unpaired", action="store_true",
        help="take runs of one value of --by for independent, as where seeds fix nothing",
    )  # fmt: skip
    compare.add_argument(
        "--missing", choices=(LEFT_OUT, WORST),
        help="what a run of the second table without a value counts as; default: the comparison is "
        "incomplete unless something is worse without it",
    )  # fmt: skip
    compare.add_argument(
        "--level", type=Number(0.0001, 0.25), default=LEVEL, metavar="P",
        help="probability that anything is called worse or better by chance, %(type)s; default: "
        f"{LEVEL:g}",
    )  # fmt: skip
    compare.add_argument(
        "--output", type=output_folder, metavar="DIR",
        help="where to write compare.md, compare.json and compare.png; default: nowhere",
    )  # fmt: skip
    compare.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports compare``, and return the exit code of the verdict."""
    metrics = list(dict.fromkeys(options.metric))
    directions = _directions(metrics, options.lower_is_better or [], options.higher_is_better or [])
    columns = Columns(
        metrics=tuple(metrics),
        by=tuple(dict.fromkeys(options.by or [])),
        configuration=tuple(dict.fromkeys(options.configuration or [])),
        step=options.step,
    )
    if options.before.resolve() == options.after.resolve():
        raise UsageError(f"{options.before} is named twice: name two tables")
    names = _names(options.before, options.after)
    try:
        before, after = (
            one_row_per_run(name, read_table(path), columns)
            for name, path in zip(names, (options.before, options.after), strict=True)
        )
    except TableError as error:
        raise UsageError(str(error)) from error
    if not set(before.table["configuration"]) & set(after.table["configuration"]):
        raise UsageError(_nothing_in_common(before, after))
    comparison = compare_tables(
        before, after, directions,
        level=options.level, paired=not options.unpaired, missing=options.missing or "",
    )  # fmt: skip
    _show(comparison)
    if options.output is not None:
        _write(comparison, names, options.output)
    return exit_code(comparison.exit_code)


def _directions(metrics: Sequence[str], lower: list[str], higher: list[str]) -> dict[str, bool]:
    """Return the metrics, and whether larger is better."""
    for option, names in (("--lower-is-better", lower), ("--higher-is-better", higher)):
        for name in names:
            if name not in metrics:
                raise UsageError(f"{option} {name}: it is none of the metrics {', '.join(metrics)}")
    if both := set(lower) & set(higher):
        raise UsageError(f"{min(both)} cannot be better both ways")
    return {
        name: name in higher or (name not in lower and not LOWER_IS_BETTER.search(name))
        for name in metrics
    }


def _names(before: Path, after: Path) -> tuple[str, str]:
    """Return short names of the two tables, which differ."""
    short = before.name, after.name
    return short if short[0] != short[1] else (str(before), str(after))


def _nothing_in_common(before: Runs, after: Runs) -> str:
    sides = [
        f"{runs.name} has {', '.join(dict.fromkeys(runs.table['configuration']))}"
        for runs in (before, after)
    ]
    return f"no configuration is in both tables: {'; '.join(sides)}"


def _show(comparison: Comparison) -> None:
    """Print the notes, the table and the verdict."""
    for note in comparison.notes:
        print(one_line(note), file=sys.stderr)
    print(compared_tables.as_table(comparison))
    print(f"\n{one_line(compared_tables.sentence(comparison))}")


def _write(comparison: Comparison, names: tuple[str, str], output: Path) -> None:
    from reports.figures import before_and_after, models  # loads matplotlib

    title = f"{names[1]} compared with {names[0]}"
    with writing_into(output):
        figure = before_and_after.before_and_after(
            comparison.differences, names, f"{100 * (1 - comparison.level):.6g}%"
        )
        models.save(figure, output / compared_tables.PICTURE)
    files = {
        "compare.md": compared_tables.as_markdown(comparison, title, picture=True),
        "compare.json": compared_tables.as_json(comparison, *names),
    }
    write_files(output, files)
    print(f"{one_line(output / 'compare.md')}, .json and .png written", file=sys.stderr)
