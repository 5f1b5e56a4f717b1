"""``reports judge``: the training tables in files, each among the published seeds."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.text import one_line
from hnrnn import published
from hnrnn.arguments import Parser, any_path, output_file
from hnrnn.program import called_as, exit_code
from hnrnn.variants import VARIANTS
from reports.commands.options import Commands
from reports.commands.output import write_files
from reports.documents.document import DocumentError, read_tables
from reports.documents.recognition import Recognition, recognise
from reports.documents.training_table import TrainingTable
from reports.pages.judged_tables import Examined, as_lines, as_markdown, picture, summary
from reports.runs.published_seeds import published_seeds
from reports.runs.table_rows import usable_rows
from reports.verdict.table import judge_among_published

UNREADABLE = 2


def add_parser(commands: Commands[Parser]) -> None:
    """Add the command to the parsers of ``python -m reports``."""
    judge = commands.add_parser(
        "judge",
        help="judge the training tables in notebooks, pages and CSV files",
        description="Find the training tables in files, recognise the variant of each, and say "
        "where it lies among the published seeds. Judging is not failing: the exit code is 0 "
        "whatever the p-values are, and 2 if a file cannot be read.",
    )
    judge.add_argument(
        "files", nargs="+", type=any_path, metavar="FILE",
        help="a notebook (.ipynb), an HTML or markdown page, or a CSV file",
    )  # fmt: skip
    judge.add_argument(
        "--variant", choices=list(VARIANTS),
        help="what the tables are of; default: recognised by what they show",
    )  # fmt: skip
    judge.add_argument(
        "--html", type=output_file, metavar="FILE",
        help="a new file for one page with a figure of each table, which can be shared",
    )  # fmt: skip
    judge.set_defaults(carry_out=carry_out)


def carry_out(options: argparse.Namespace) -> int:
    """Carry out ``reports judge``."""
    program = f"{called_as('hnrnn-reports', 'reports')} judge"
    tables: list[Examined] = []
    unread: list[str] = []
    for path in options.files:
        try:
            found = [_examine(table, options.variant) for table in read_tables(path)]
        except DocumentError as error:
            unread.append(one_line(error))
            print(f"{program}: {unread[-1]}", file=sys.stderr)
            continue
        tables += found
        lines = [line for table in found for line in (*as_lines(table), "")]
        print("\n".join(lines or [f"{one_line(path)}\n  No training table found.\n"]))
    read = len(options.files) - len(unread)
    if len(tables) > 1:
        print("\n".join(summary(tables, read)))
    if options.html:
        _write_page(options.html, tables, read, unread)
        print(f"{one_line(options.html)} written", file=sys.stderr)
    return exit_code(UNREADABLE if unread else 0)


def _examine(table: TrainingTable, variant: str | None) -> Examined:
    """Recognise a table and judge it, if it is of one variant and has values that can be judged."""
    recognition = recognise(table, variant)
    if recognition.variant is None:
        recognition = _as_part(table, variant) or recognition
    if recognition.variant is None:
        return Examined(table.source, recognition, table.rows, None)
    try:
        rows = usable_rows(table.rows, recognition.variant)
    except ValueError as error:
        reason = f"It cannot be judged as {recognition.variant}: {error}."
        unusable: Recognition = replace(recognition, variant=None, reason=reason)
        return Examined(table.source, unusable, table.rows, None)
    judgement = judge_among_published(recognition.variant, rows)
    return Examined(table.source, recognition, rows, judgement)


def _as_part(table: TrainingTable, variant: str | None) -> Recognition | None:
    """Return the one variant that a table without a variant is of, but for what it lacks.

    All else fits the candidates that are named without a user's ``variant``. A table that has what
    it needs has several candidates or none.
    """
    candidates = recognise(table).candidates
    if variant is not None:
        candidates = tuple({variant} & set(candidates))
    if len(candidates) != 1:
        return None
    reason = f"It fits {candidates[0]}, but epochs are missing or values are not finite."
    return Recognition(candidates[0], candidates, reason)


def _write_page(path: Path, tables: Sequence[Examined], files: int, unread: Sequence[str]) -> None:
    """Write the page with a figure of each judged table; raise UnwrittenError."""
    from reports.figures import models  # loads matplotlib
    from reports.pages import html

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, table in enumerate(tables):
            if table.judgement is not None:
                variant, start = table.judgement.variant, table.judgement.nearest
                seeds, notebook = published_seeds(variant, start), published.tables()
                others = published.third_party_runs()
                figure = models.curves(
                    variant, seeds, notebook, others, table=table.rows, start=start
                )
                models.save(figure, folder / picture(place))
        page = html.page(as_markdown(tables, files, unread), folder, "Training tables, judged")
    write_files(path.parent, {path.name: page})
