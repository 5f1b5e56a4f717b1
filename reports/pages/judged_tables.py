"""Training tables that were found in files, and what is said of each: as text and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.text import counted, one_line
from reports.documents.recognition import Recognition
from reports.pages.tables import NO_VALUE, Markup, escape, number, paragraphs, table_of
from reports.verdict.table import TableJudgement

KINDS = {
    "ones": "like runs with BatchNorm weights at 1",
    "uniform": "like runs with BatchNorm weights from U(0, 1)",
    "undecided": "like runs of either start",
    "neither": "unlike runs of either start",
    "partial": "with some of the epochs only",
    "ambiguous": "of more than one possible variant, not judged",
    "other": "of another recipe, not judged",
}
"""What a table can be, in words that follow a count."""
EXPLANATION = (
    "Each table is held against our published seeds of its variant: 1,000 whose BatchNorm weights "
    "start at 1, as since PyTorch 1.2, and 256 whose weights are drawn from U(0, 1), as before. "
    "*p* is the share of runs, this one and the seeds, whose whole table is at least as extreme: "
    "all epochs of all columns at once. Of further seeds of the same training, at most one in 20 "
    "has a p of 0.05 or less. A small p therefore means a rare run, or a training that differs. A "
    "large one does not show that nothing differs: a small change hides in the seed variance."
)


@dataclass(frozen=True)
class Examined:
    """A table of a file: where it was, what it was taken for, and its judgement if it has one.

    ``rows`` are those that were judged.
    """

    source: str
    recognition: Recognition
    rows: pd.DataFrame
    judgement: TableJudgement | None

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        if self.judgement is None:
            return "ambiguous" if len(self.recognition.candidates) > 1 else "other"
        return self.judgement.start if self.judgement.complete else "partial"


def as_lines(table: Examined) -> list[str]:
    """Return what is said of a table, as lines for a terminal."""
    if table.judgement is None:
        return [one_line(table.source), f"  Not judged. {one_line(table.recognition.reason)}"]
    said = [table.recognition.reason, *table.judgement.lines()]
    return [one_line(table.source), *(f"  {_indented(line)}" for line in said)]


def summary(tables: Sequence[Examined], files: int) -> list[str]:
    """Return how many tables are of each kind, as lines; ``files`` were read."""
    counts = Counter(table.kind for table in tables)
    rows = [f"{counts[kind]:>5} {words}" for kind, words in KINDS.items() if counts[kind]]
    return [f"{counted(len(tables), 'table')} in {counted(files, 'file')}:", *rows]


def as_markdown(tables: Sequence[Examined], files: int, unread: Sequence[str]) -> str:
    """Return the page, without its figures; ``unread`` says why other files cannot be read."""
    first, *kinds = summary(tables, files)
    numbered = list(enumerate(tables))
    overview = table_of(
        numbered,
        (
            ("table", lambda item: item[1].source),
            ("variant", lambda item: item[1].recognition.variant or NO_VALUE),
            ("result", lambda item: KINDS[item[1].kind]),
            ("p, weights at 1", lambda item: _p(item[1], "ones")),
            ("p, weights from U(0, 1)", lambda item: _p(item[1], "uniform")),
            ("final accuracy", _final_accuracy),
        ),
        text=("table", "variant", "result"),
    )
    return paragraphs(
        "# Training tables among the published seeds",
        escape(first),
        "\n".join(f"- {escape(kind.strip())}" for kind in kinds),
        *(f"Not read: {escape(line)}" for line in unread),
        EXPLANATION,
        overview if tables else "",
        *(_section(table, place) for place, table in numbered),
    )


def picture(place: int) -> str:
    """Return the name of the figure of the table at a place."""
    return f"table{place}.png"


def _section(table: Examined, place: int) -> str:
    head = f"## {escape(table.source)}"
    if table.judgement is None:
        return paragraphs(head, f"Not judged. {escape(table.recognition.reason)}")
    first, *lines = table.judgement.lines()
    items = "\n".join(f"{_indent(line)}- {escape(line.strip())}" for line in lines)
    alt = f"The curves of {escape(table.source)} among the seeds"
    return paragraphs(
        head,
        f"**{escape(first)}**",
        escape(table.recognition.reason),
        Markup(items),
        f"![{alt}]({picture(place)})",
    )


def _p(table: Examined, start: str) -> str:
    return number(table.judgement.p_values[start] if table.judgement else float("nan"))


def _final_accuracy(item: tuple[int, Examined]) -> str:
    final = item[1].judgement.ones.final if item[1].judgement else None
    return number(final.value if final else float("nan"))


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip()))


def _indented(line: str) -> str:
    return f"{_indent(line)}{one_line(line)}"
