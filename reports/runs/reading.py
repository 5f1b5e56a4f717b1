"""A store's contents, without the records that cannot be: those are set apart, and named.

What a file says is data. A value that no run can have comes from a newer version, from a fault, or
from someone who wrote the file by hand: no verdict may rest on it. What can be is in
``reports.runs.rules``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from bench.errors import StoreError
from bench.store.records import DIVERGED, OK
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, Contents, Store
from reports.runs.rules import (
    NULLABLE,
    Breach,
    measurement_breaches,
    number_breaches,
    run_breaches,
    text_breaches,
)

NAMED_AT_MOST = 100
"""Kinds of rows that are named one by one."""


def read(folder: str | Path) -> Contents:
    """Return what the store in ``folder`` holds; what is set apart is among the unreadable.

    Raises StoreError as ``Store.read`` does.
    """
    return set_apart(Store(folder).read(), datetime.now(UTC))


def set_apart(contents: Contents, now: datetime) -> Contents:
    """Return the records that can be; the others are named among the unreadable.

    A run goes with all its epochs, and with any of them. ``now`` is what the reader's clock says.
    """
    named: dict[str, str] = {}
    tables = {RUNS: contents.runs, EPOCHS: contents.epochs, THROUGHPUT: contents.throughput}
    kept = {}
    for table, rows in tables.items():
        breaches = chain(text_breaches(rows), number_breaches(rows, NULLABLE[table], now))
        kept[table] = rows[_sound(table, breaches, len(rows), named)]
    lost = contents.epochs.loc[~contents.epochs.index.isin(kept[EPOCHS].index), "run_id"]
    runs = kept[RUNS][~kept[RUNS]["run_id"].isin(lost)]
    epochs = kept[EPOCHS][kept[EPOCHS]["run_id"].isin(runs["run_id"])]
    runs = runs[_sound(RUNS, run_breaches(runs, epochs), len(runs), named)]
    throughput = kept[THROUGHPUT]
    sound = _sound(THROUGHPUT, measurement_breaches(throughput), len(throughput), named)
    if len(named) > NAMED_AT_MOST:
        more = len(named) - NAMED_AT_MOST
        named = dict([*named.items()][:NAMED_AT_MOST])
        named["more rows"] = f"{more} more kinds of rows that cannot be"
    return Contents(
        runs=runs.reset_index(drop=True),
        epochs=epochs[epochs["run_id"].isin(runs["run_id"])].reset_index(drop=True),
        throughput=throughput[sound].reset_index(drop=True),
        unreadable={**contents.unreadable, **named},
    )


def _sound(
    table: str, breaches: Iterable[Breach], count: int, named: dict[str, str]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which of a table's rows break no rule, and name the others."""
    sound = np.ones(count, dtype=bool)
    for breach in breaches:
        if breach.rows.any():
            number = int(breach.rows.sum())
            reason = breach.reason or "no record is so"
            rows = f"{number} row{'' if number == 1 else 's'}"
            named[f"{table} with {breach.what}"] = f"{reason} ({rows})"
            sound &= ~breach.rows
    return sound


def read_baseline(folder: str | Path, night_folder: str | Path, night: Contents) -> Contents:
    """Return what the baseline in ``folder`` holds.

    Raises StoreError where it cannot be read whole, is the night itself, or holds a square whose
    runs have all diverged: nothing could be worse than either.
    """
    baseline = read(folder)
    if baseline.unreadable:
        names = ", ".join(baseline.unreadable)
        raise StoreError(f"baseline {folder} cannot be read: {names}: freeze it again")
    if Path(folder).resolve() == Path(night_folder).resolve() or _same_runs(baseline, night):
        raise StoreError(
            f"baseline {folder} holds the runs of {night_folder} itself: name an earlier night's"
        )
    squares = diverged_squares(baseline.runs)
    if squares:
        raise StoreError(
            f"baseline {folder}: every run of {', '.join(squares)} diverged, and nothing is worse "
            "than that: freeze another night"
        )
    return baseline


def diverged_squares(runs: pd.DataFrame) -> list[str]:
    """Return the squares of the grid whose runs have all diverged, those that failed left out."""
    ended = runs[runs["status"].isin([OK, DIVERGED])]
    all_of = (ended["status"] == DIVERGED).groupby([ended["variant"], ended["backend"]]).all()
    return [" ".join(map(str, square)) for square in all_of.index[all_of]]


def _same_runs(first: Contents, second: Contents) -> bool:
    """Say whether two stores hold the very same runs: of one id, and started in one moment."""
    of_first, of_second = (
        set(zip(contents.runs["run_id"], contents.runs["started_at"], strict=True))
        for contents in (first, second)
    )
    return len(of_first) > 0 and of_first == of_second
