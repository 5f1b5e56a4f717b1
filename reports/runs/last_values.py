"""Tables of people's own, reduced to one row per run: the values after its last step.

Whatever cannot be used is an error of one line, or is left out by name: nothing is dropped
silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bench.text import counted, one_line
from reports.runs.tidy_tables import NAME, TableError, check_names, plain, with_rows_per_run

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
Ends = Mapping[tuple[str, str, str], float]
"""The last step with a value, by configuration, metric and column of steps."""


@dataclass(frozen=True)
class Columns:
    """The names of a table's columns: what tells runs apart, and what is measured."""

    metrics: tuple[str, ...]
    by: tuple[str, ...] = ()
    configuration: tuple[str, ...] = ()
    step: str | None = None
    early_stopping: bool = False
    """Whether the last value of a run counts that ends before others."""


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
    ends: Ends = field(default_factory=dict)


def one_row_per_run(
    name: str, table: pd.DataFrame, columns: Columns, others: Ends | None = None
) -> Runs:
    """Return the runs of a table, each with its metrics after its last step.

    A run has no value of a metric if it ends before others of its configuration do, in this table
    or in the one whose ``ends`` are ``others``, unless ``columns`` allow early stopping.

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
    keys = [tuple(map(plain, row)) for row in table[list(by)].to_numpy(dtype=object)]
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
    again = bool(found.duplicated(IDENTITY).any())
    step = columns.step or _step_of(name, table, found, columns, by, needed=again)
    if not by and step is not None and len(set(table[step])) > 1:
        raise TableError(
            f"{name} has several values of {step}: name what tells its runs apart with --by"
        )
    ends: Ends = {}
    early = pd.DataFrame(data=False, index=found.index, columns=list(columns.metrics))
    if step is not None:
        found = found.assign(step=pd.to_numeric(table[step], errors="coerce"))
        found, ends = _last(name, found, step, columns.metrics)
        early = _early(name, found, ends, others or {}, notes)
        if again:
            notes.append(f"{name}: the last {step} of each run counts")
    for metric in columns.metrics:
        end = f"end before the last {step} that others have {metric} of"
        lost, short = found[found[metric].isna()], found[early[metric]]
        if len(short) and columns.early_stopping:
            notes.append(f"{_share(name, short, found)} {end}{_of_runs(short, by)}")
        elif len(short):
            missing.append(
                f"{_share(name, short, found)} {end}{_of_runs(short, by)}; --early-stopping takes "
                "their last values"
            )
        if len(lost):
            missing.append(f"{_share(name, lost, found)} without {metric}{_of_runs(lost, by)}")
    if not columns.early_stopping:
        found[early.columns] = found[early.columns].mask(early)
    return Runs(
        name, found[["configuration", "key", *columns.metrics]], tuple(notes), tuple(missing), ends
    )


def _share(name: str, some: pd.DataFrame, runs: pd.DataFrame) -> str:
    return f"{name}: {len(some)} of {counted(len(runs), 'run')}"


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
    words = [" ".join(str(plain(each)) for each in row) for row in table[list(columns)].to_numpy()]
    return pd.Series(words, index=table.index, dtype=object)


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


def _step_of(
    name: str,
    table: pd.DataFrame,
    runs: pd.DataFrame,
    columns: Columns,
    by: Sequence[str],
    *,
    needed: bool,
) -> str | None:
    """Return the column of steps; None if there is none, and none is ``needed``."""
    named = [*by, *columns.configuration, *columns.metrics]
    step = _first_of(table.drop(columns=named), STEPS)
    if step is None and needed:
        again = runs[runs.duplicated(IDENTITY)]
        run = _of_runs(again[:1], by) or " of one run"
        raise TableError(
            f"{name} has several rows{run}: name the column of steps with --step, or what else "
            "tells runs apart with another --by or --configuration"
        )
    if step is not None and not needed:
        # Where every run has one row, the column may be anything.
        return None if pd.to_numeric(table[step], errors="coerce").isna().any() else step
    return step


def _last(
    name: str, rows: pd.DataFrame, step: str, metrics: Sequence[str]
) -> tuple[pd.DataFrame, Ends]:
    """Return each run's metrics after its last step, and the last steps of all.

    A metric that is logged at some steps only has a gap in some run; then the last value counts.
    Otherwise a run without a value after its last step has none. The step of a run's value of a
    metric is in the column (metric, step).
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
    found: dict[tuple[str, str, str], float] = {}
    for metric in metrics:
        own = rows[[*IDENTITY, "step", metric]]
        later = own.groupby(IDENTITY, sort=False)[metric].bfill()
        if (own[metric].isna() & later.notna()).any():
            own = own[own[metric].notna()]
        ends = own.groupby(IDENTITY, sort=False).tail(1)
        last = ends.groupby("configuration")["step"].max()
        found |= {(str(each), metric, step): float(end) for each, end in last.items()}
        runs = runs.merge(ends.rename(columns={"step": _end(metric)}), on=IDENTITY, how="left")
    return runs, found


def _end(metric: str) -> str:
    """Return the name of the column of the steps of the last values; none of a user's has it."""
    return f"\0{metric}"


def _early(
    name: str, runs: pd.DataFrame, ends: Ends, others: Ends, notes: list[str]
) -> pd.DataFrame:
    """Return which metrics of which runs end before others; those that diverged ended in time."""
    metrics = dict.fromkeys(metric for _, metric, _ in ends)
    early = pd.DataFrame(data=False, index=runs.index, columns=list(metrics))
    for configuration, metric, step in ends:
        own, other = ends[configuration, metric, step], others.get((configuration, metric, step))
        here = runs["configuration"] == configuration
        last = own if other is None else max(own, other)
        ended = here & (runs[_end(metric)] < last) & np.isfinite(runs[metric])
        early[metric] |= ended
        if other is not None and own > other:
            notes.append(
                f"{name}: {metric} is that of {step} {own:g}, in the other table of {other:g}"
            )
    return early


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
