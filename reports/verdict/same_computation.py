"""Does tonight compute what the reference computes? Run by run, from the same initial weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.text import counted
from hnrnn import departures
from hnrnn.departures import ANOTHER_COMPUTATION, NO_REFERENCE, UNEXPLAINED
from hnrnn.variants import VARIANTS
from reports.runs.departures import (
    ALIKE,
    CONFIGURATION,
    FASTAI,
    OURS,
    Held,
    by_device,
    hold,
    references,
    trained_runs,
)
from reports.runs.night import Configuration, Night

SHOWN_AT_MOST = 5


@dataclass(frozen=True)
class Departure:
    """One configuration held against its reference runs.

    It is the first epoch and column that depart; where none does, the nearest to its limit.
    ``departure`` is the median distance in units of the rounding spread, ``nearness`` the
    decisive seed's distance in units of the limit.
    """

    variant: str
    backend: str
    initialisation: str
    device: str
    verdict: str
    seeds: int
    seeds_beyond: int
    """Seeds beyond the limit in this epoch and column."""
    seeds_of_ours: int
    """Seeds whose reference is one of our published runs."""
    epochs: int
    """The largest number of epochs of these runs that a reference has."""
    epoch: int
    column: str
    distance: float
    departure: float
    nearness: float
    undecided: bool = False
    """Whether more seeds have to tell a fault from jumps of rounding; then it is unexplained."""

    @property
    def configuration(self) -> Configuration:
        """The configuration of the grid."""
        return (self.variant, self.backend)

    @property
    def name(self) -> str:
        """The configuration in words."""
        start = "" if self.initialisation == "ones" else f" {self.initialisation}"
        return f"{self.variant} {self.backend}{start}"

    @property
    def place(self) -> str:
        """The epoch and column in words."""
        return f"epoch {self.epoch}, {self.column}"

    def sentence(self, reference: str) -> str:
        """Say that it departs from ``reference``: where first, and by how much."""
        if self.undecided:
            return (
                f"{self.name} may be another computation than {reference}: most seeds are further "
                "away than their own healthy executions were, and "
                f"{counted(self.seeds, 'seed')} cannot rule out jumps of rounding; train more"
            )
        what = (
            f"{self.name} is another computation than {reference}"
            if self.verdict == ANOTHER_COMPUTATION
            else f"{self.name} is further from {reference} than rounding is known to be on a CPU"
        )
        where = "" if self.device == "cpu" else f" on {self.device}"
        return (
            f"{what}: first in {self.place}, by {spreads(self.departure)}, with "
            f"{self.seeds_beyond} of {counted(self.seeds, 'seed')} beyond the limit{where}"
        )


@dataclass(frozen=True)
class OddRun:
    """A run that departs on its own, although its configuration does not."""

    run_id: str
    variant: str
    backend: str
    initialisation: str
    seed: int
    epoch: int
    column: str
    departure: float


@dataclass(frozen=True)
class SameComputation:
    """All runs of a night held against the reference runs of their seeds."""

    departures: tuple[Departure, ...]
    odd: tuple[OddRun, ...]
    same_bits: int
    """Runs that equal their reference in all its digits."""
    without_reference: Mapping[str, int]
    """How many runs have none, by the reason."""
    uncovered: tuple[Configuration, ...]
    """Configurations that have runs, and none with a reference."""

    @property
    def runs(self) -> int:
        """How many runs have a reference."""
        return sum(found.seeds for found in self.departures)

    @property
    def others(self) -> list[Departure]:
        """The configurations that are another computation."""
        return [found for found in self.departures if found.verdict == ANOTHER_COMPUTATION]

    @property
    def unexplained(self) -> list[Departure]:
        """The configurations that rounding alone does not explain, where it was not measured."""
        return [found for found in self.departures if found.verdict == UNEXPLAINED]

    @property
    def passed(self) -> bool:
        """Whether every configuration has a reference, and none departs from it."""
        return bool(self.departures) and not (self.others or self.unexplained or self.uncovered)

    def shows(self, backends: Mapping[str, str]) -> bool:
        """Say whether all of the notebook's variants are the same, on these ``backends``.

        They are then what the notebook is certified by, whose BatchNorm weights start at 1.
        """
        same = {
            found.configuration
            for found in self.departures
            if found.initialisation == "ones"
            and found.verdict not in (ANOTHER_COMPUTATION, UNEXPLAINED)
        }
        return set(backends) == set(VARIANTS) and set(backends.items()) <= same


def compare(night: Night) -> SameComputation:
    """Hold a night's runs against the reference runs of their seeds."""
    return verdict_of(held_runs(night))


def held_runs(night: Night) -> Held:
    """Return a night's runs beside their reference runs."""
    faults = night.selection.runs["injected_fault"].dropna().unique()
    runs = trained_runs(night.contents, *faults[:1])
    return hold(runs, night.contents.epochs, references(runs))


def verdict_of(held: Held) -> SameComputation:
    """Return what runs beside their references come to."""
    cells = held.cells
    found = as_departures(cells)
    used = [each for each in found if each.verdict != NO_REFERENCE]
    covered = {each.configuration for each in used}
    bits = cells.groupby("run_id")["same"].all()
    reasons = held.unheld["reason"].value_counts()
    pairs = zip(held.unheld["variant"], held.unheld["backend"], strict=True)
    uncovered = {each.configuration for each in found} | {(str(v), str(b)) for v, b in pairs}
    return SameComputation(
        departures=tuple(used),
        odd=tuple(_odd_runs(cells, used)),
        same_bits=int(bits.sum()),
        without_reference={str(reason): int(count) for reason, count in reasons.items()},
        uncovered=tuple(sorted(uncovered - covered)),
    )


def as_departures(cells: pd.DataFrame) -> list[Departure]:
    """Return one departure per configuration, start and device, in the order of their names."""
    judged = by_device(departures.of_configurations, cells, ALIKE)
    if judged.empty:
        return []
    with_ours = cells.assign(ours=cells["seed"].where(cells["reference_name"] == OURS))
    about = with_ours.groupby(ALIKE, dropna=False).agg(
        all_seeds=("seed", "nunique"),
        seeds_of_ours=("ours", "nunique"),
        last_epoch=("epoch", "max"),
    )
    rows = judged.merge(about.reset_index(), on=ALIKE).sort_values(CONFIGURATION)
    return [
        Departure(
            variant=str(row["variant"]),
            backend=str(row["backend"]),
            initialisation=str(row["initialisation"]),
            device=str(row["device"]),
            verdict=UNEXPLAINED if row["undecided"] else str(row["verdict"]),
            seeds=int(row["all_seeds"]),
            seeds_beyond=int(row["seeds_beyond"]),
            seeds_of_ours=int(row["seeds_of_ours"]),
            epochs=int(row["last_epoch"]) + 1,
            epoch=int(row["epoch"]),
            column=str(row["column"]),
            distance=float(row["distance"]),
            departure=float(row["departure"]),
            nearness=float(row["nearness"]),
            undecided=bool(row["undecided"]),
        )
        for row in rows.to_dict(orient="records")
    ]


def _odd_runs(cells: pd.DataFrame, found: Iterable[Departure]) -> list[OddRun]:
    """Return the runs that depart on their own in configurations that do not."""
    same = [
        tuple(getattr(each, name) for name in CONFIGURATION)
        for each in found
        if each.verdict not in (ANOTHER_COMPUTATION, UNEXPLAINED)
    ]
    keys = pd.MultiIndex.from_frame(cells[CONFIGURATION])
    beyond = cells["distance"] > cells["limit"]
    suspects = cells.loc[beyond.to_numpy() & keys.isin(same), "run_id"]
    own = [*CONFIGURATION, "run_id", "seed"]
    judged = by_device(departures.of_runs, cells[cells["run_id"].isin(suspects)], own)
    rows: list[dict[Any, Any]] = judged.to_dict(orient="records")
    rows.sort(key=lambda row: (row["variant"], row["backend"], row["seed"]))
    return [
        OddRun(
            run_id=str(row["run_id"]),
            variant=str(row["variant"]),
            backend=str(row["backend"]),
            initialisation=str(row["initialisation"]),
            seed=int(row["seed"]),
            epoch=int(row["epoch"]),
            column=str(row["column"]),
            departure=float(row["departure"]),
        )
        for row in rows
        if row["verdict"] in (ANOTHER_COMPUTATION, UNEXPLAINED)
    ]


def summary(same: SameComputation) -> str:
    """Say in a sentence without its full stop what all runs with a reference computed."""
    configurations = len({found.configuration for found in same.departures})
    ours = sum(found.seeds_of_ours for found in same.departures)
    whose = f"{FASTAI}'s runs of their seeds"
    if ours:
        count = "all" if ours == same.runs else f"{ours:,}"
        whose += f" ({count} of them as {OURS}, where it has none)"
    how = "equal" if same.same_bits == same.runs else "are the same to rounding as"
    return (
        f"{same.runs:,} {'run' if same.runs == 1 else 'runs'} of "
        f"{counted(configurations, 'configuration')} {how} {whose}"
    )


def nearest(same: SameComputation) -> Departure:
    """Return the departure that is nearest to its limit."""
    return max(same.departures, key=lambda found: np.nan_to_num(found.nearness, nan=-1.0))


def reasons_in_words(same: SameComputation) -> str:
    """Say how many runs have no reference, and why."""
    return "; ".join(
        f"{counted(count, 'run')}: {reason}" for reason, count in same.without_reference.items()
    )


def odd_in_words(same: SameComputation) -> list[str]:
    """Name the runs that depart on their own; of many, the first."""
    lines = [
        f"{odd.variant} {odd.backend} seed {odd.seed} is further from its reference than rounding "
        f"has been seen to be for a single seed (epoch {odd.epoch}, {odd.column}, "
        f"{spreads(odd.departure)}), and the other seeds are not."
        for odd in same.odd[:SHOWN_AT_MOST]
    ]
    if len(same.odd) > SHOWN_AT_MOST:
        lines.append(f"{len(same.odd) - SHOWN_AT_MOST} more runs are so.")
    return lines


def spreads(departure: float) -> str:
    """Return a departure in words."""
    return f"{amount(departure)} rounding spreads"


def amount(departure: float) -> str:
    """Return a departure as a number of two digits or more."""
    return f"{departure:,.0f}" if departure >= 10 else f"{departure:.1f}"
