"""Grids of cells, and the training tables in them.

A grid is a list of rows of text, as an HTML table, a CSV or aligned text has them. A training table
is what stands below a header with ``train_loss`` or ``valid_loss``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

Grid = list[list[str]]
Values = list[list[float]]
"""A training table: epoch, losses and accuracy of each row."""

COLUMNS = ("epoch", "train_loss", "valid_loss", "accuracy")
_SAME = {
    "epoch": "epoch epochs",
    "train_loss": "trainloss trnloss trainingloss",
    "valid_loss": "validloss valloss validationloss",
    "accuracy": "accuracy acc acc4 accuracyoflast accuracylast lastaccuracy accuracy4",
}
_NAMES = {name: column for column, names in _SAME.items() for name in names.split()}
_ABSENT = {"", "nan", "#na#", "na", "n/a", "none", "null", "-", "<na>"}
_RUN_KEYS = ("model", "variant", "run", "seed", "initialisation", "start", "backend", "name")
"""Columns that tell apart the runs in a CSV of many."""


def training_tables(grid: Grid) -> list[tuple[str, Values]]:
    """Return the training tables in a grid, in order, each with the name of its model, if any.

    A header in the midst of a grid starts the next table.
    """
    starts = [place for place, row in enumerate(grid) if columns_of(row)]
    parts = [grid[a:b] for a, b in zip(starts, [*starts[1:], None], strict=False)]
    return [table for part in parts for table in _tables_below(part[0], part[1:])]


def columns_of(header: Sequence[str]) -> dict[str, int]:
    """Return where the columns of a training table stand; nothing unless it is such a header."""
    names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in header]
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        if name in _NAMES:
            places.setdefault(_NAMES[name], place)
    if not {"train_loss", "valid_loss"} <= set(places):
        return {}
    if "accuracy" not in places:  # a metric by a name of its own
        named = [place for place, name in enumerate(names) if "acc" in name]
        if len(named) == 1:
            places["accuracy"] = named[0]
    if "epoch" not in places and names[0] in ("", "index", "unnamed0"):
        places["epoch"] = 0
    return places


def number(cell: str) -> float | None:
    """Return a cell as a number, NaN for one that says that there is none, else None.

    A comma is the decimal point of many languages, unless there is a point too.
    """
    text = cell.strip().strip("\"'*`").strip()
    if text.lower() in _ABSENT:
        return np.nan
    if "," in text:
        text = text.replace(",", "" if "." in text else ".")
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def frame(values: Values) -> pd.DataFrame:
    """Return a table as a frame with epochs from 0: the first versions of fastai count from 1."""
    rows = pd.DataFrame(values, columns=list(COLUMNS), dtype=np.float64)
    rows["epoch"] = rows["epoch"].astype(np.int64) - (rows["epoch"].iloc[0] == 1)
    return rows


def _tables_below(header: Sequence[str], rows: Grid) -> Iterator[tuple[str, Values]]:
    places = columns_of(header)
    keys = [header.index(name) for name in _RUN_KEYS if name in header]
    runs: dict[tuple[str, ...], Values] = {}
    for row in rows:
        values = _values(row, places, len(header))
        if values is not None:
            run = tuple(row[key] for key in keys if key < len(row))
            runs.setdefault(run, []).append(values)
    labels = [place for place, key in enumerate(keys) if header[key] in ("model", "variant")]
    for run, found in runs.items():
        label = " ".join(run[place] for place in labels if place < len(run))
        for table in _split(found, counted="epoch" not in places):
            yield label, table


def _values(row: Sequence[str], places: dict[str, int], width: int) -> list[float] | None:
    """Return epoch, losses and accuracy of a row, or None if it is not one of the table."""
    if len(row) == width + 1:  # an index without a name, as pandas prints it
        row = row if "epoch" not in places else row[1:]
        places = (
            places if "epoch" in places else {"epoch": 0} | {k: 1 + v for k, v in places.items()}
        )
    if not max(places.values()) < len(row) <= width + 1:
        return None
    values = [number(row[places[name]]) if name in places else np.nan for name in COLUMNS]
    found = [value for value in values if value is not None]
    if len(found) < len(COLUMNS) or not ("epoch" not in places or found[0].is_integer()):
        return None
    return found


def _split(rows: Values, *, counted: bool) -> list[Values]:
    """Start a new table wherever the epochs start over; without epochs, the rows are counted."""
    tables: list[Values] = []
    for place, row in enumerate(rows):
        values = [float(place), *row[1:]] if counted else row
        if not tables or values[0] <= tables[-1][-1][0]:
            tables.append([])
        tables[-1].append(values)
    return tables
