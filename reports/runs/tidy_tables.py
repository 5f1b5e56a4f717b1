"""Tables of runs that people bring, read as they are.

A table is a CSV, TSV, JSON, JSON lines or parquet file, as pandas, Weights & Biases and MLflow
write them, or a results folder of our own. ``reports.runs.last_values`` makes one row per run.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store.files import read_regular
from bench.text import one_line
from reports.runs.reading import read

LARGEST = 2**30
"""The size of the largest file that is read, in bytes."""
NAME = "Name"
"""The column of runs that a table with one column per run is given, as in a table of runs."""
SHOWN_AT_MOST = 15
"""Columns of a table that a message names."""


class TableError(Exception):
    """A table cannot be compared; the message says why in one line."""


def read_table(path: Path) -> pd.DataFrame:
    """Return a file's table as it is, or every epoch of a results folder with its run.

    Raises TableError if the file cannot be read as its name says, and StoreError for a folder that
    is no results folder.
    """
    if path.is_dir():
        contents = read(path)
        if len(contents.runs) == 0:
            raise TableError(f"{path} is a folder without stored runs: name a file")
        if contents.unreadable:
            raise TableError(
                f"{path} has files that cannot be read: {', '.join(contents.unreadable)}"
            )
        runs = contents.runs.drop(columns=["epochs", "train_seconds", "valid_seconds"])
        epochs = contents.epochs.drop(columns=["variant", "backend", "seed"])
        return runs.merge(epochs, on="run_id", how="left")
    reader, compression = _reader(path)
    try:
        content = read_regular(path, LARGEST)
        table = reader(io.BytesIO(content), **compression)
    except FileNotFoundError as error:
        raise TableError(f"there is no file {path}") from error
    except (OSError, ValueError, ImportError, KeyError, TypeError, EOFError) as error:
        raise TableError(f"{path} cannot be read as a table: {error}") from error
    if not isinstance(table, pd.DataFrame) or table.empty:
        raise TableError(f"{path} has no rows")
    table.columns = table.columns.map(lambda name: str(name).strip())
    return table


def _reader(path: Path) -> tuple[Callable[..., Any], dict[str, str]]:
    """Return what reads a file of this name, and how it is compressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    suffix = "".join((suffixes[:-1] if zipped else suffixes)[-1:])
    compression = {"compression": "gzip"} if zipped else {}
    csv: Callable[..., Any] = partial(pd.read_csv, encoding="utf-8-sig", low_memory=False)
    readers: dict[str, Callable[..., Any]] = {
        ".csv": partial(_read_csv, csv),
        ".tsv": partial(csv, sep="\t"),
        ".json": pd.read_json,
        ".jsonl": partial(pd.read_json, lines=True),
        ".ndjson": partial(pd.read_json, lines=True),
    }
    if suffix in (".parquet", ".pq") and not zipped:
        return pd.read_parquet, {}
    if suffix not in readers:
        known = ", ".join([*readers, ".parquet"])
        raise TableError(f"{path} is of no known kind: its name must end in {known}")
    return readers[suffix], compression


def _read_csv(csv: Callable[..., Any], content: io.BytesIO, **compression: str) -> pd.DataFrame:
    """Read a CSV; a header without a comma may have semicolons or tabs instead."""
    table: pd.DataFrame = csv(content, **compression)
    header = str(table.columns[0])
    for separator in ";\t":
        if len(table.columns) == 1 and separator in header:
            content.seek(0)
            table = csv(content, sep=separator, **compression)
    return table


def with_rows_per_run(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return a table that has one column per run, ``run-1 - accuracy``, with rows for each run."""
    parts = [(re.fullmatch(r"(.+) - (.+)", each), each) for each in table.columns]
    of_runs = [(m[1], m[2]) for m, _ in parts if m and m[2] in metrics]
    if not of_runs or any(metric in table for metric in metrics):
        return table
    others = table[[each for match, each in parts if not match]]
    names = dict.fromkeys(run for run, _ in of_runs)
    rows = pd.concat(
        [
            others.assign(
                **{NAME: run}, **{m: table[f"{run} - {m}"] for r, m in of_runs if r == run}
            )
            for run in names
        ],
        ignore_index=True,
    )
    rows = rows.dropna(subset=[each for each in metrics if each in rows], how="all")
    rows.attrs["unpivoted"] = True
    return rows


def check_names(name: str, table: pd.DataFrame, wanted: Iterable[str]) -> None:
    """Raise TableError for the first column that is not there, or is there twice."""
    for column in wanted:
        if column not in table:
            raise TableError(
                f"{name} has no column {one_line(column)!r}; it has {_closest(column, table)}"
            )
        if not isinstance(table[column], pd.Series):
            raise TableError(f"{name} has several columns {column!r}")


def _closest(wanted: str, table: pd.DataFrame) -> str:
    """Return the columns in words, those first whose name is most like the one that is wanted."""

    def likeness(column: str) -> tuple[bool, float]:
        a, b = wanted.lower(), column.lower()
        return a in b or b in a, difflib.SequenceMatcher(None, a, b).ratio()

    ordered = sorted(table.columns, key=likeness, reverse=True)
    more = len(ordered) - SHOWN_AT_MOST
    shown = ", ".join(repr(one_line(each, 80)) for each in ordered[:SHOWN_AT_MOST])
    return shown + (f" and {more} more" if more > 0 else "")
