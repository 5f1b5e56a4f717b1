"""What a report shows of earlier nights: the history, tested for drifts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hnrnn.variants import VARIANTS
from reports.history.drift import DriftTest, find_drifts
from reports.history.nights import BETWEEN_GATES, GATES, moments, read
from reports.runs.night import Night, configurations_of
from reports.verdict.decision import INCOMPLETE
from reports.verdict.gates import COMPLETE, LASTING, PAIRED, THROUGHPUT, VALUES, LastNight
from reports.verdict.notebook import AGREES


@dataclass(frozen=True)
class Past:
    """The nights of a history folder, oldest first, and their drifts.

    ``unreadable`` has the reason for each unreadable file; ``baseline`` has the ``moments`` of the
    baseline's grid, if any.
    """

    nights: pd.DataFrame
    unreadable: Mapping[str, str]
    test: DriftTest
    baseline: pd.DataFrame | None

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
        timed=frozenset(configurations_of(rows[rows["throughput_ratio"].notna()])),
    )


def read_past(folder: Path, baseline: Night | None) -> Past:
    """Return the nights of a history folder; raise StoreError if it cannot be read."""
    nights, unreadable = read(folder)
    known = None if baseline is None else moments(baseline.selection.grid)
    return Past(nights, unreadable, find_drifts(nights, known), known)
