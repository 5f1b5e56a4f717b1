"""Cells: pieces of code with the tables that they printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

from reports.documents.grids import Grid, training_tables
from reports.documents.markup import blocks_of, is_markup
from reports.documents.plain_text import grids_in_text
from reports.documents.syntax import parse

_PROMPT = re.compile(r"^In ?\[[ \d*]*\]:[ \t]*", re.MULTILINE)
_MOST_PARTS = 40
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")


@dataclass(frozen=True)
class Cell:
    """A piece of code and the grids in what it printed, if any; ``name`` is empty for a page."""

    name: str
    code: str
    grids: list[Grid] = field(default_factory=list)


def grids_in(text: str) -> list[Grid]:
    """Return the grids in a text, which may be HTML."""
    if not is_markup(text):
        return grids_in_text(text)
    grids: list[Grid] = []
    for block in blocks_of(text):
        grids += [block.grid] if block.kind == "table" else grids_in_text(block.text)
    return grids


def cells_of_page(html: str) -> list[Cell]:
    """Return the cells of a page: preformatted code, and the tables that follow it."""
    cells = [Cell("", "")]
    for block in blocks_of(html):
        grids = [block.grid] if block.kind == "table" else grids_in_text(block.text)
        grids = [grid for grid in grids if training_tables(grid)]
        if block.kind == "pre" and not grids and parse(block.text):
            cells.append(Cell("", block.text))
        cells[-1].grids.extend(grids)
    return cells


def cells_of_markdown(text: str) -> list[Cell]:
    """Return the cells of a markdown page: fenced or indented code, and the tables after it."""
    return cells_of_page(_MARKDOWN.render(text))


def cells_of_text(text: str) -> list[Cell]:
    """Return the cells of plain text. With prompts (``In [1]:``), the code after each is read."""
    if is_markup(text):
        return cells_of_page(text)
    first, *parts = _PROMPT.split(text)
    cells = [Cell("", "", grids_in_text(first))]
    return [*cells, *(Cell("", _code_before(part), grids_in_text(part)) for part in parts)]


def _code_before(text: str) -> str:
    """Return the code at the beginning of a text: as many paragraphs as are Python together."""
    parts = re.split(r"(\n\s*\n)", text)[: 2 * _MOST_PARTS]
    ends = range(len(parts), 0, -2) if len(parts) % 2 else range(len(parts) - 1, 0, -2)
    starts = ("".join(parts[:end]) for end in ends)
    return next((start for start in starts if parse(start)), "")
