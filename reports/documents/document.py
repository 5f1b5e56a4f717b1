"""Reading a file that people have, whatever its form: all training tables in it."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path

from bench.store.files import UnfitFileError, read_regular
from hnrnn.text import one_line
from reports.documents.cells import (
    Cell,
    cells_of_markdown,
    cells_of_page,
    cells_of_text,
)
from reports.documents.fits import code_until, fits_in
from reports.documents.grids import Values, frame, training_tables
from reports.documents.jupyter import NotebookError, cells_of
from reports.documents.syntax import parse
from reports.documents.training_table import TrainingTable

LARGEST = 100 * 2**20
"""The size of the largest file that is read, in bytes."""
MOST_TABLES = 10_000
"""The most training tables in a file."""
_BY_SUFFIX = {
    ".ipynb": cells_of,
    ".html": cells_of_page,
    ".htm": cells_of_page,
    ".md": cells_of_markdown,
    ".markdown": cells_of_markdown,
}
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class DocumentError(Exception):
    """A file cannot be read; the message is one line that says what to do."""


def read_tables(path: Path) -> list[TrainingTable]:
    """Return the training tables in a file, in the order in which they were made; none is no error.

    The suffix says what the file is: ``.ipynb`` (nbformat 3 and 4), ``.html`` or ``.htm``, ``.md``
    or ``.markdown``, otherwise text (``.txt``, ``.csv``, ``.tsv``). Raises DocumentError for what
    cannot be read.
    """
    text = _read(path)
    read = _BY_SUFFIX.get(path.suffix.lower(), cells_of_text)
    if path.suffix.lower() not in _BY_SUFFIX and text.lstrip().startswith("{"):
        read = cells_of
    try:
        cells = read(text)
    except NotebookError as error:
        raise DocumentError(
            f"{one_line(path)} is not a notebook ({one_line(error)}): save it again in Jupyter"
        ) from error
    tables = list(islice(_tables_of(one_line(path.name), cells), MOST_TABLES + 1))
    if len(tables) > MOST_TABLES:
        raise DocumentError(
            f"{one_line(path)} has more than {MOST_TABLES} training tables: split it"
        )
    return tables


def _read(path: Path) -> str:
    """Return a file's text, in the encoding that its first bytes name, UTF-8 or Windows' own."""
    try:
        content = read_regular(path, LARGEST)
    except UnfitFileError as error:
        raise DocumentError(
            f"cannot read {one_line(path)}, {error}: name a notebook, a page or a CSV"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(
            f"cannot read {one_line(path)} ({one_line(reason)}): name a file that exists"
        ) from error
    encoding = next((_ENCODINGS[mark] for mark in _ENCODINGS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise DocumentError(
            f"{one_line(path)} is not text: name a notebook, an HTML or markdown page, or a CSV"
        )
    return text


def _tables_of(name: str, cells: Iterable[Cell]) -> Iterator[TrainingTable]:
    """Yield the tables of all cells, each with the code until the call that printed it."""
    found = [(cell, _without_drafts(cell)) for cell in cells]
    in_all = sum(len(tables) for cell, tables in found if not cell.name)
    earlier: list[str] = []
    place_in_all = 0
    for cell, tables in found:
        for place, (label, values) in enumerate(tables):
            place_in_all += not cell.name
            which = (place + 1, len(tables)) if cell.name else (place_in_all, in_all)
            words = [name, cell.name, label, f"table {which[0]} of {which[1]}"]
            if which[1] == 1:
                words.pop()
            code = _code(earlier, code_until(cell.code, place, len(tables)))
            yield TrainingTable(
                source=", ".join(one_line(word) for word in words if word),
                rows=frame(values),
                code=code,
            )
        if parse(cell.code):
            earlier.append(cell.code)


def _code(earlier: Sequence[str], own: str) -> str:
    """Return all code until a table; nothing unless its own cell trains, by itself or by a call."""
    before, until = "\n\n".join(earlier), "\n\n".join([*earlier, own])
    return until if len(fits_in(until)) > len(fits_in(before)) else ""


def _without_drafts(cell: Cell) -> list[tuple[str, Values]]:
    """Return the tables of a cell without those that the next one repeats and goes on from.

    Some editors keep every state of an output of a notebook that grows.
    """
    tables = [table for grid in cell.grids for table in training_tables(grid)]
    if not cell.name:
        return tables
    return [
        (label, values)
        for (label, values), after in zip_longest(tables, tables[1:])
        if after is None or after[0] != label or after[1][: len(values)] != values
    ]
