"""Jupyter notebooks, nbformat 3 and 4: cells with their code and the text of their outputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from reports.documents.cells import Cell, grids_in
from reports.documents.grids import Grid, training_tables


class NotebookError(Exception):
    """A text is not a notebook; the message says why."""


def cells_of(text: str) -> list[Cell]:
    """Return a notebook's code cells, in the order in which they ran.

    Execution counts say the order, unless some cell has none or two have the same: then it is that
    of the file. Raises NotebookError for anything that is not a notebook.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise NotebookError("it is nested too deeply") from error
    except ValueError as error:
        raise NotebookError(
            f"it is not JSON: {error}" if text.strip() else "it is empty"
        ) from error
    cells = list(_raw_cells(content))
    counts = [_count(cell) for _, cell in cells if _source(cell).strip()]
    if None not in counts and len(set(counts)) == len(counts):
        cells.sort(key=lambda cell: _count(cell[1]) or 0)
    return [Cell(f"cell {place}", _source(cell), _grids(cell)) for place, cell in cells]


def _raw_cells(content: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the code cells and their places among all cells, from 1."""
    content = content if isinstance(content, dict) else {}
    sheets = content.get("worksheets")
    sheets = [content, *(sheets if isinstance(sheets, list) else [])]
    lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
    if not any(isinstance(cells, list) for cells in lists):
        raise NotebookError("it has no cells")
    cells = [cell for cells in lists if isinstance(cells, list) for cell in cells]
    for place, cell in enumerate(cells, start=1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            yield place, cell


def _count(cell: dict[str, Any]) -> int | None:
    """Return which execution the cell was, from 1; None if that is not recorded."""
    count = cell.get("execution_count", cell.get("prompt_number"))
    return count if isinstance(count, int) and count > 0 else None


def _source(cell: dict[str, Any]) -> str:
    return _text(cell.get("source", cell.get("input")))


def _text(value: Any) -> str:
    """Return a text that the file may hold as a list of lines."""
    parts = value if isinstance(value, list) else [value]
    return "".join(part for part in parts if isinstance(part, str))


def _grids(cell: dict[str, Any]) -> list[Grid]:
    """Return the grids in a cell's outputs, each output read in the form that shows most.

    A stream is printed in pieces, and another stream may come in between.
    """
    outputs = cell.get("outputs")
    grids: list[Grid] = []
    streams: dict[str, list[str]] = {}
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        if output.get("output_type") == "stream":
            name = str(output.get("name", output.get("stream")))
            streams.setdefault(name, []).append(_text(output.get("text")))
            continue
        data = output.get("data", output)
        data = data if isinstance(data, dict) else {}
        # The first three are the names in nbformat 4, the others in nbformat 3.
        names = ("text/html", "text/markdown", "text/plain", "html", "text")
        forms = [grids_in(_text(data.get(name))) for name in names]
        grids += next((found for found in forms if any(map(training_tables, found))), [])
    for pieces in streams.values():
        grids += grids_in("".join(pieces))
    return grids
