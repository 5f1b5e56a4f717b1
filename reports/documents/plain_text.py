"""Training tables in text: as fastai prints them, as CSV, or with pipes between the columns."""

from __future__ import annotations

import csv
import re

from reports.documents.grids import Grid, columns_of

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PRINTED_LIST = re.compile(r"^\s*(?:\(#\d+\)\s*)?\[(.*)\]\s*$")
"""A row as fastai 2 prints it without a progress bar, with or without the list's length."""
_LIST_HEADER = ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
_ROW = re.compile(r"[\s|\"'*`]*\d")
LONGEST_LINE = 10_000
"""Characters; a longer line is no row of a training table."""


def grids_in_text(text: str) -> list[Grid]:
    """Return a grid for each header of a training table and the lines that may be its rows.

    Rows that fastai 2 prints as lists have no header, so they get one.
    """
    grids: list[Grid] = []
    delimiter: str | None = None
    in_list = False
    for line in _COLOUR.sub("", text).replace("\r\n", "\n").split("\n"):
        shown = _shown(line)
        listed = _PRINTED_LIST.match(shown)
        if listed:
            cells = _cells(listed[1], ",")
            header = bool(columns_of(cells))
            if not in_list and not header and len(cells) == len(_LIST_HEADER):
                grids.append([_LIST_HEADER])
            elif header:
                grids.append([])
            in_list = True
            if grids:
                grids[-1].append(cells)
            continue
        found = _delimiter(shown)
        if found is not None:
            delimiter, in_list = found, False
            grids.append([_cells(shown, delimiter)])
        elif delimiter is not None and not in_list:
            grids[-1].append(_cells(shown, delimiter))
    return grids


def _shown(line: str) -> str:
    """Return what a terminal shows of a line that is overwritten from its beginning.

    Progress bars overwrite one another, and one that is left over may stand before or after a row.
    """
    if len(line) > LONGEST_LINE:
        return ""
    parts = [part for part in line.split("\r") if part.strip()]
    rows = [part for part in parts if (_ROW.match(part) and "%" not in part) or "loss" in part]
    return (rows or parts or [""])[-1]


def _delimiter(line: str) -> str | None:
    """Return what separates the columns of a training table's header; None for another line."""
    if "loss" not in line.lower():
        return None
    for delimiter in ("|", "\t", ";", ",", " "):
        if delimiter in line and columns_of(_cells(line, delimiter)):
            return delimiter
    return None


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if delimiter == "|":
        return [cell.strip(" *`") for cell in line.strip().strip("|").split("|")]
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        return []
