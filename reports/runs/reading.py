"""A store's contents without impossible records, which are named instead.

A value that no run can have comes from a newer version, from a defect, or from a file that was
edited by hand. No verdict may rest on it. The rules are in ``reports.runs.rules``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.errors import StoreError
from bench.store.parquet import read_folder
from bench.store.records import OK
from bench.store.schemas import RUNS_SCHEMA, THROUGHPUT_SCHEMA
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, Contents, Store
from bench.text import counted
from reports.runs.completeness import LEFT_OUT, freezing_problems
from reports.runs.night import Night
from reports.runs.rules import (
    NULLABLE,
    THROUGHPUT_RULES,
    Breach,
    number_breaches,
    run_breaches,
    text_breaches,
)
from reports.runs.selection import with_runs

SAME = ["run_id", "started_at"]
"""Columns that identify a training."""
PROBLEMS_AT_MOST = 5
NAMED_AT_MOST = 100
"""Kinds of impossible rows; more are only counted."""


def read(folder: str | Path) -> Contents:
    """Return the contents of the store in ``folder``; impossible records count as unreadable.

    Raises StoreError as ``Store.read`` does.
    """
    return set_apart(Store(folder).read(), datetime.now(UTC))


def set_apart(contents: Contents, now: datetime) -> Contents:
    """Return the possible records, and name the others among the unreadable.

    A run and its epochs are left out together. ``now`` is the time on this machine's clock.
    """
    named: dict[str, str] = {}
    tables = {RUNS: contents.runs, EPOCHS: contents.epochs, THROUGHPUT: contents.throughput}
    kept = {}
    for table, rows in tables.items():
        breaches = chain(text_breaches(rows), number_breaches(rows, NULLABLE[table], now))
        kept[table] = rows[_sound(table, breaches, rows, named)]
    lost = contents.epochs.loc[~contents.epochs.index.isin(kept[EPOCHS].index), "run_id"]
    runs = kept[RUNS][~kept[RUNS]["run_id"].isin(lost)]
    epochs = kept[EPOCHS][kept[EPOCHS]["run_id"].isin(runs["run_id"])]
    runs = runs[_sound(RUNS, run_breaches(runs, epochs), runs, named)]
    throughput = kept[THROUGHPUT]
    by_rule = (Breach(what, rule(throughput)) for what, rule in THROUGHPUT_RULES.items())
    sound = _sound(THROUGHPUT, by_rule, throughput, named)
    if (more := len(named) - NAMED_AT_MOST) > 0:
        named = dict(islice(named.items(), NAMED_AT_MOST))
        named["more rows"] = f"{more} more kinds of impossible rows"
    timed = throughput[sound].reset_index(drop=True)
    return with_runs(Contents(runs, epochs, timed, contents.unreadable | named), runs)


def _sound(
    table: str, breaches: Iterable[Breach], rows: pd.DataFrame, named: dict[str, str]
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which rows of a table break no rule; name the others in ``named``, by the first id."""
    sound = np.ones(len(rows), dtype=bool)
    for breach in breaches:
        broken = np.asarray(breach.rows, dtype=bool)
        if broken.any():
            identity = rows.iloc[:, 0][broken].iloc[0]  # run_id or measurement_id
            count = counted(int(broken.sum()), "row")
            named[f"{table} with {breach.what}"] = f"{breach.reason} ({count}, first in {identity})"
            sound &= ~broken
    return sound


def read_with_baseline(folder: str | Path, baseline_folder: str | Path) -> tuple[Night, Night, int]:
    """Return the night in ``folder``, its baseline, and how many of its runs are the baseline's.

    These runs are left out of the night. Raises StoreError if the baseline could not be frozen as
    it is, or is the night itself.
    """
    night, baseline = read(folder), read(baseline_folder)
    if baseline.unreadable:
        # In the order of their discovery: first the files, then what follows from them.
        names = ", ".join([*baseline.unreadable][:PROBLEMS_AT_MOST])
        raise StoreError(f"baseline {baseline_folder} cannot be read: {names}: freeze it again")
    itself = is_same_night(baseline.runs, night.runs)
    night, own = without_own(night, baseline)
    judged = Night.of(night)
    frozen = Night.of(baseline, like=judged)
    # It may have been frozen for nights of another kind too.
    problems = [each for each in freezing_problems(frozen) if each.kind != LEFT_OUT]
    if problems:
        named = "; ".join(map(str, problems[:PROBLEMS_AT_MOST]))
        more = "; ..." if len(problems) > PROBLEMS_AT_MOST else ""
        raise StoreError(
            f"baseline {baseline_folder} is not whole ({named}{more}): freeze another night"
        )
    if itself or Path(baseline_folder).resolve() == Path(folder).resolve():
        raise StoreError(
            f"baseline {baseline_folder} holds the runs of {folder} itself: name an earlier night's"
        )
    return judged, frozen, own


def read_runs(folder: Path) -> pd.DataFrame:
    """Return the readable runs of a store, one row each."""
    tables, _ = read_folder(folder / RUNS, RUNS_SCHEMA)
    runs: pd.DataFrame = pa.concat_tables([RUNS_SCHEMA.empty_table(), *tables.values()]).to_pandas()
    return runs


def is_timed(folder: Path) -> bool:
    """Say whether a store has a timed block; a file that cannot be read may have one."""
    tables, unreadable = read_folder(folder / THROUGHPUT, THROUGHPUT_SCHEMA)
    return bool(unreadable) or any(OK in table["status"].to_pylist() for table in tables.values())


def without_own(night: Contents, baseline: Contents) -> tuple[Contents, int]:
    """Return a night without the baseline's runs and measurements, and the number of these runs.

    A results folder that is used again after a freeze still holds them. Compared with themselves
    they would be equal, and hide the others.
    """
    own = pd.MultiIndex.from_frame(night.runs[SAME]).isin([*_same(baseline.runs)])
    timed = night.throughput["measurement_id"].isin(baseline.throughput["measurement_id"])
    throughput = night.throughput[~timed].reset_index(drop=True)
    return replace(with_runs(night, night.runs[~own]), throughput=throughput), int(own.sum())


def is_same_night(first: pd.DataFrame, second: pd.DataFrame) -> bool:
    """Say whether two tables hold the same runs, with the same ids and times of start."""
    return len(first) > 0 and _same(first) == _same(second)


def _same(runs: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(runs[SAME].itertuples(index=False, name=None))
