"""What a report shows of earlier nights: the history, tested for drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hnrnn.variants import VARIANTS
from reports.history.drift import DriftTest, find_drifts
from reports.history.nights import BETWEEN_GATES, GATES, moments, read
from reports.history.shifts import Shift, read_shifts
from reports.runs.night import Night, configurations_of
from reports.verdict.decision import INCOMPLETE
from reports.verdict.gates import COMPLETE, LASTING, PAIRED, THROUGHPUT, VALUES, LastNight
from reports.verdict.notebook import AGREES


@dataclass(frozen=True)
class Period:
    """The nights that one baseline holds for, and their test for drifts."""

    since: pd.Timestamp | None
    """The baseline's night; None for the nights before a baseline was accepted."""
    nights: pd.DataFrame
    baseline: pd.DataFrame | None
    """The baseline's rows, at least with the columns of its ``moments``, if they are known."""
    test: DriftTest


@dataclass(frozen=True)
class Past:
    """The nights of a history folder, oldest first, with the shifts that were accepted.

    ``unreadable`` has the reason for each unreadable file. An accepted shift begins a new period,
    with a baseline of its own, from which later nights drift; there is at least one period.
    """

    nights: pd.DataFrame
    unreadable: Mapping[str, str]
    shifts: tuple[Shift, ...]
    periods: tuple[Period, ...]

    @property
    def test(self) -> DriftTest:
        """The test for drifts since the last accepted shift."""
        return self.periods[-1].test

    @property
    def baseline(self) -> pd.DataFrame | None:
        """The baseline's rows, if there is one."""
        return self.periods[-1].baseline

    @property
    def pictures(self) -> dict[str, str]:
        """The file name of each variant's trend figure."""
        there = set(self.nights["variant"])
        return {name: f"trend-{name}.png" for name in VARIANTS if name in there}


def last_night(
    nights: pd.DataFrame,
    first: pd.Timestamp,
    last: pd.Timestamp,
    since: pd.Timestamp | None = None,
    *,
    without_baseline: bool = False,
) -> LastNight | None:
    """Return the night before one whose runs started from ``first`` to ``last``, if any.

    ``nights`` are as ``reports.history.nights.read`` returns them. Only complete nights count that
    were compared with a baseline or could have become one, so that what is missing once does not
    become normal. Nor do nights count before ``since``, when a baseline was accepted. For a night
    ``without_baseline``, those with one count first: one that was left out on purpose hides no
    baseline that is lost later.
    """
    gates_of = nights[GATES].fillna("").astype(str)
    held = gates_of.map(lambda gates: any(name in gates for name in LASTING)).astype(bool)
    complete = gates_of.str.contains(COMPLETE) & (nights["verdict"] != INCOMPLETE)
    told = (complete & held) | (nights["verdict"] == AGREES)
    if since is not None:
        told &= nights["night"] >= since
    earlier = nights[told & (nights["night"] < last) & (nights["night"] != first)]
    if without_baseline:
        names = gates_of[earlier.index].str.split(BETWEEN_GATES)
        compared = names.map({PAIRED, VALUES, THROUGHPUT}.intersection).astype(bool)
        earlier = earlier[compared] if compared.any() else earlier
    if earlier.empty:
        return None
    rows = earlier[earlier["night"] == earlier["night"].max()]
    gates = str(rows[GATES].iloc[0]).split(BETWEEN_GATES) if rows[GATES].notna().all() else []
    trained = rows[rows["seeds"] + rows["diverged"] > 0]
    return LastNight(
        night=f"{rows['night'].iloc[0]:%Y-%m-%d}",
        gates=frozenset(gates),
        configurations=frozenset(configurations_of(trained)),
    )


def read_past(folder: Path, baseline: Night | None = None) -> Past:
    """Return the nights of a history folder; raise StoreError if it cannot be read."""
    nights, unreadable = read(folder)
    shifts, others = read_shifts(folder)
    known = None if baseline is None else moments(baseline.selection.grid)
    return Past(nights, unreadable | others, shifts, _periods(nights, shifts, known))


def _periods(
    nights: pd.DataFrame, shifts: Sequence[Shift], newest: pd.DataFrame | None
) -> tuple[Period, ...]:
    """Divide the nights at the accepted shifts, and test each period against its own baseline.

    The baseline of a period is the accepted night, as the history has it. ``newest`` is the one
    that is kept; it takes the place of the last, unless that was accepted later.
    """
    starts = [None, *(shift.night for shift in shifts)]
    baselines = [shifts[0].replaces if shifts else None, *starts[1:]]
    found = []
    for since, until, night in zip(starts, [*starts[1:], None], baselines, strict=True):
        inside = (nights["night"] >= since) if since else nights["night"].notna()
        inside &= (nights["night"] < until) if until else True
        own = nights[nights["night"] == night]
        known = own if len(own) else None
        newer = newest is not None and (since is None or newest["night"].min() >= since)
        if until is None and newer:
            known = newest
        test = find_drifts(nights[inside], known)
        found.append(Period(since, nights[inside], known, test))
    return tuple(found)
