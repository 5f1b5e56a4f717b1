"""The pieces of markdown that sections are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import numpy as np

from bench.text import one_line
from reports.runs.comparison import Comparison

T = TypeVar("T")
NO_VALUE = "-"
WORD_JOINER = "&#8288;"
"""Has no width, and keeps GitHub from making mentions and links of what it separates."""
SPECIAL = re.compile(
    r"@(?! )|#|://|www\."  # mentions, references, links
    r"|(?<![^\W_])_|_(?![^\W_])"  # an underscore within a word is no markup
    r"|^[-+=](?=\D)|^\d+[.)](?= )"  # lists, rules
    r"|[^\w .,;:()+\-=%/'\"!?@]",
    re.IGNORECASE,
)
NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


class Markup(str):
    """A cell that ``table`` takes as it is, because its markdown is intended."""

    __slots__ = ()


def paragraphs(*parts: str) -> str:
    """Return the parts that are not empty, with a blank line between them."""
    return "\n\n".join(filter(None, parts))


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text: Collection[str] = ()) -> str:
    """Return a GitHub table: the columns named in ``text`` are left-aligned, the others right.

    Cells are text, and no markup but ``Markup`` is read in them.
    """
    rule = [Markup(":--" if name in text else "--:") for name in header]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in (header, rule, *rows))


def table_of(
    items: Iterable[T],
    columns: Sequence[tuple[str, Callable[[T], str]]],
    text: Collection[str] = (),
) -> str:
    """Return a table with one row per item; a column is its header, and the cell of an item."""
    rows = ([cell(item) for _, cell in columns] for item in items)
    return table([header for header, _ in columns], rows, text)


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else escape(text)


def number(value: float, digits: int = 4) -> str:
    """Return a value with so many decimals; a dash for NaN."""
    return NO_VALUE if np.isnan(value) else f"{value:.{digits}f}"


def escape(text: object) -> str:
    """Return data as markdown that shows it literally, on one line.

    Everything in a results folder is data, even the names of its files. It must not become markup,
    HTML, a link or a mention, and must not break a table.
    """
    return SPECIAL.sub(_entities, one_line(text))


def _entities(match: re.Match[str]) -> str:
    found = match[0]
    if found == "://" or len(found) == len("www."):
        return f"{found[:-2]}{WORD_JOINER}{found[-2:]}"
    joiner = WORD_JOINER if found in "@#" else ""
    return "".join(c if c.isdigit() else NAMED.get(c, f"&#{ord(c)};") for c in found) + joiner


def interval(comparison: Comparison) -> str:
    """Return the central 95% of our seeds; a dash where there are none."""
    if np.isnan(comparison.low):
        return NO_VALUE
    return f"{comparison.low:.4f} to {comparison.high:.4f}"


def rank(comparison: Comparison) -> str:
    """Return the notebook's place among our seeds; a dash where there are none."""
    if np.isnan(comparison.rank):
        return NO_VALUE
    return f"{comparison.rank:g} of {comparison.seeds + 1}"
