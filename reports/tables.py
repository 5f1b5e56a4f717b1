"""Pieces of markdown that every section is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from reports.comparison import Comparison

NO_VALUE = "-"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> str:
    """Return a GitHub table; the first ``left`` columns are set left, the others right."""
    rule = [":--" if column < left else "--:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, in the plural but for one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def number(value: float, digits: int = 4) -> str:
    """Return a value with so many decimals; a dash for NaN."""
    return NO_VALUE if np.isnan(value) else f"{value:.{digits}f}"


def escape(text: str) -> str:
    """Keep data from being read as markup: it comes from a results folder."""
    text = " ".join(text.split())
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;")):
        text = text.replace(character, entity)
    return text


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
