"""Tables of people's own, reduced to one row per run: the values after its last step.

Whatever cannot be used is an error of one line, or is left out by name: nothing is dropped
silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.text import counted, one_line
from reports.runs.tidy_tables import NAME, TableError, check_names, with_rows_per_run

STEPS = ("epoch", "step", "_step", "global_step", "iteration")
"""Names of columns of steps, in the order in which they are looked for, whatever their case."""
STATES = ("state", "status")
FINISHED = {"finished", "completed", "complete", "success", "succeeded", "done", "ok"}
DIVERGED = {"diverged"}
UNFINISHED = {"crashed", "failed", "killed", "running", "skipped", "preempted", "preempting"}
UNFINISHED |= {"pending", "scheduled", "error", "canceled", "cancelled", "interrupted"}
IDENTITY = ["configuration", "key", "row"]
"""What a row of the result is one of; ``row`` is its place where nothing tells runs apart."""
SHOWN_AT_MOST = 5
"""Runs that a message names."""


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns: what tells runs apart, and what is measured."""

    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    step: str | None = None


@dataclass(frozen=True)
class Runs:
    """One row per run: ``configuration``, ``key`` and the metrics, NaN where there is no value.

    ``key`` is a tuple, empty where nothing was named that tells runs apart. ``notes`` say what is
    left out, and ``missing`` which runs or values the table should have and lacks.
    """

    name: str
    table: pd.DataFrame
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def one_row_per_run(name: str, table: pd.DataFrame, columns: Columns) -> Runs:
    """Return the runs of a table, each with its metrics after its last step.

    Runs are told apart by ``columns.by`` within a configuration; without it every row is a run. A
    run of a table with one column per run (``run-1 - accuracy``) is told by that name. Runs that
    did not finish, by a column ``State`` or ``status``, are left out; one that diverged has
    infinite metrics (not a number).

    Raises TableError for a column that is not there, text among numbers, rows that cannot be told
    apart, and a table without a run.
    """
    table = with_rows_per_run(table, columns.metrics)
    by = columns.by or ((NAME,) if table.attrs.get("unpivoted") else ())
    steps = () if columns.step is None else (columns.step,)
    check_names(name, table, [*by, *columns.configuration, *columns.metrics, *steps])
    values = {metric: _numbers(name, table[metric]) for metric in columns.metrics}
    found = pd.DataFrame(values, index=table.index)
    notes: list[str] = []
    named = _named_rows(name, table, [*columns.configuration, *by], found, notes)
    table, found = table[named], found[named]
    keys = [tuple(map(_plain, row)) for row in table[list(by)].to_numpy(dtype=object)]
    found.insert(0, "configuration", _words(table, columns.configuration))
    found.insert(1, "key", pd.Series(keys, index=found.index, dtype=object))
    found["row"] = range(len(found)) if not by else 0
    state = _states(name, table, notes)
    found.loc[state.isin(DIVERGED), list(columns.metrics)] = np.inf
    missing = _unfinished(name, found, state, by)
    finished = ~state.isin(UNFINISHED)
    found, table = found[finished], table[finished]
    if found.empty:
        raise TableError(f"{name} has no finished run")
    if found.duplicated(IDENTITY).any() or steps:
        step = columns.step or _step_of(name, table, found, by)
        found = found.assign(step=pd.to_numeric(table[step], errors="coerce"))
        found = _last(name, found, step, columns.metrics, notes)
    elif not by and (step_name := _first_of(table, STEPS)) and len(set(table[step_name])) > 1:
        raise TableError(
            f"{name} has several values of {step_name}: name what tells its runs apart with --by"
        )
    for metric in columns.metrics:
        lost = found[found[metric].isna()]
        if len(lost):
            runs = f"{len(lost)} of {counted(len(found), 'run')}"
            missing.append(f"{name}: {runs} without {metric}{_of_runs(lost, by)}")
    return Runs(name, found.drop(columns="row"), tuple(notes), tuple(missing))


def _numbers(name: str, column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    text = numbers.isna() & column.notna()
    # What says "no number" in so many words is none; pandas reads some of these words itself.
    text &= ~column.astype(str).str.strip().str.lower().isin({"nan", "", "none", "null"})
    if text.any():
        first = one_line(repr(column[text].iloc[0]), 80)
        raise TableError(
            f"{name}: {column.name} has text in {int(text.sum())} of {len(column)} rows, the first "
            f"is {first} in row {int(text.to_numpy().argmax()) + 1}"
        )
    return numbers


def _named_rows(
    name: str, table: pd.DataFrame, identity: Sequence[str], values: pd.DataFrame, notes: list[str]
) -> pd.Series:
    """Return which rows say what run they are of; others are left out if they measure nothing."""
    nameless = table[list(identity)].isna().any(axis=1)
    if (nameless & values.notna().any(axis=1)).any():
        column = next(each for each in identity if table[each].isna().any())
        raise TableError(
            f"{name}: {counted(int(table[column].isna().sum()), 'row')} without {column}: fill it "
            "in, or name another column"
        )
    if nameless.any():
        rows = counted(int(nameless.sum()), "row")
        notes.append(f"{name}: {rows} without {' or '.join(identity)} and without values left out")
    return ~nameless


def _words(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    words = [" ".join(str(_plain(each)) for each in row) for row in table[list(columns)].to_numpy()]
    return pd.Series(words, index=table.index, dtype=object)


def _plain(value: object) -> object:
    """Return a value that is equal in every table: 3 for 3.0 and for "3"."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    try:
        number = float(value)  # type: ignore[arg-type]  # anything that is no number raises
    except (TypeError, ValueError):
        return str(value).strip()
    if not np.isfinite(number):
        return str(value).strip()
    exact = isinstance(value, (int, np.integer))
    return int(value) if exact else int(number) if number.is_integer() else number  # type: ignore[call-overload]


def _states(name: str, table: pd.DataFrame, notes: list[str]) -> pd.Series:
    """Return how each run ended, in lower case; empty where the table does not say."""
    column, known = _first_of(table, STATES), FINISHED | DIVERGED | UNFINISHED
    nothing = pd.Series("", index=table.index, dtype=object)
    if column is None:
        return nothing
    states = table[column].astype(str).str.strip().str.lower()
    unknown = sorted(set(states) - known)
    if unknown and set(states) & known:
        words = ", ".join(one_line(each, 80) for each in unknown[:SHOWN_AT_MOST])
        notes.append(f"{name}: runs count as finished where {column} is {words}")
    return states if set(states) & known else nothing


def _unfinished(name: str, runs: pd.DataFrame, state: pd.Series, by: Sequence[str]) -> list[str]:
    """Name the runs that did not finish, and that no finished run of the same key replaces."""
    bad = state.isin(UNFINISHED)
    names = pd.Series(list(runs[IDENTITY].itertuples(index=False, name=None)), index=runs.index)
    rows = runs[bad & ~names.isin(set(names[~bad]))].drop_duplicates(IDENTITY)
    return [
        f"{name}: {counted(len(own), 'run')} left out because the state is {word}"
        f"{_of_runs(own, by)}"
        for word, own in rows.groupby(state[rows.index])
    ]


def _step_of(name: str, table: pd.DataFrame, runs: pd.DataFrame, by: Sequence[str]) -> str:
    step = _first_of(table, STEPS)
    if step is None:
        again = runs[runs.duplicated(IDENTITY)]
        run = _of_runs(again[:1], by) or " of one run"
        raise TableError(
            f"{name} has several rows{run}: name the column of steps with --step, or what else "
            "tells runs apart with another --by or --configuration"
        )
    return step


def _last(
    name: str, rows: pd.DataFrame, step: str, metrics: Sequence[str], notes: list[str]
) -> pd.DataFrame:
    """Return each run's metrics after its last step.

    A metric that is logged at some steps only has a gap in some run; then the last value counts.
    Otherwise a run without a value after its last step has none.
    """
    if rows["step"].isna().any():
        raise TableError(f"{name}: {step} has {int(rows['step'].isna().sum())} rows without number")
    if rows.duplicated([*IDENTITY, "step"]).any():
        raise TableError(
            f"{name} has several rows of one run at one {step}: name what else tells runs apart "
            "with another --by or --configuration"
        )
    rows = rows.sort_values("step", kind="stable")
    runs = rows[IDENTITY].drop_duplicates()
    for metric in metrics:
        own = rows[[*IDENTITY, "step", metric]]
        later = own.groupby(IDENTITY, sort=False)[metric].bfill()
        if (own[metric].isna() & later.notna()).any():
            own = own[own[metric].notna()]
        ends = own.groupby(IDENTITY, sort=False).tail(1)
        last = ends.groupby("configuration")["step"].transform("max")
        if early := int((ends["step"] < last).sum()):
            notes.append(
                f"{name}: {early} of {counted(len(ends), 'run')} end before the last {step} "
                f"that others have {metric} of"
            )
        runs = runs.merge(ends.drop(columns="step"), on=IDENTITY, how="left")
    notes.append(f"{name}: the last {step} of each run counts")
    return runs


def _of_runs(runs: pd.DataFrame, by: Sequence[str]) -> str:
    """Return the keys of some runs in words, in brackets; nothing where they have none."""
    if not by or runs.empty:
        return ""
    names = [
        " ".join(filter(None, [configuration, *map(str, key)]))
        for configuration, key in zip(runs["configuration"], runs["key"], strict=True)
    ]
    more = f" and {len(names) - SHOWN_AT_MOST} more" if len(names) > SHOWN_AT_MOST else ""
    return f" ({' '.join(by)} {', '.join(names[:SHOWN_AT_MOST])}{more})"


def _first_of(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    lower = {str(column).lower(): str(column) for column in reversed(table.columns)}
    return next((lower[name] for name in names if name in lower), None)
