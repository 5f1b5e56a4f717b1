"""One configuration held against its reference runs: whether it departs, where and by how much."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bench.text import counted
from hnrnn import departures
from hnrnn.departures import ANOTHER_COMPUTATION, UNEXPLAINED, needed
from reports.runs.departures import ALIKE, CONFIGURATION, OURS, by_device
from reports.runs.night import Configuration


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
    furthest: float = 0.0
    """The departure of the furthest seed."""
    furthest_times: float = 0.0
    """Its distance in units of the limit of the cell."""
    undecided: bool = False
    """Whether more seeds have to tell a fault from jumps of rounding; then it is unexplained."""

    @property
    def configuration(self) -> Configuration:
        """The configuration of the grid."""
        return (self.variant, self.backend)

    @property
    def name(self) -> str:
        """The configuration in words."""
        return name_of(self.variant, self.backend, self.initialisation)

    @property
    def place(self) -> str:
        """The epoch and column in words."""
        return f"epoch {self.epoch}, {self.column}"

    def sentence(self, reference: str) -> str:
        """Say that it departs from ``reference``: where first, and by how much."""
        if self.undecided:
            return (
                f"{self.name} may be another computation than {reference}: most seeds are further "
                "away than healthy executions were, and "
                f"{counted(self.seeds, 'seed')} cannot rule out jumps of rounding; train more"
            )
        what = (
            f"{self.name} is another computation than {reference}"
            if self.verdict == ANOTHER_COMPUTATION
            else f"{self.name} is further from {reference} than rounding is known to be on a CPU"
        )
        where = "" if self.device == "cpu" else f" on {self.device}"
        how = f"{self.seeds_beyond} of {counted(self.seeds, 'seed')} beyond the limit"
        by = self.departure
        if self.seeds_beyond < needed(self.seeds):
            how += f", the furthest {self.furthest_times:,.0f} times"
            by = self.furthest
        return f"{what}: first in {self.place}, by {spreads(by)}, with {how}{where}"


def name_of(variant: str, backend: str, initialisation: str) -> str:
    """Return a configuration and its start in words."""
    start = "" if initialisation == "ones" else f" {initialisation}"
    return f"{variant} {backend}{start}"


def names_in(runs: pd.DataFrame) -> pd.Series[str]:
    """Return ``name_of`` the configuration of each row."""
    start = runs["initialisation"].map(lambda each: "" if each == "ones" else f" {each}")
    return runs["variant"].astype(str) + " " + runs["backend"].astype(str) + start.astype(str)


class Compared:
    """What was compared with other runs, one departure per configuration."""

    departures: tuple[Departure, ...]

    @property
    def runs(self) -> int:
        """How many runs are compared."""
        return sum(found.seeds for found in self.departures)

    @property
    def others(self) -> list[Departure]:
        """The configurations that are another computation."""
        return [found for found in self.departures if found.verdict == ANOTHER_COMPUTATION]

    @property
    def unexplained(self) -> list[Departure]:
        """The configurations that rounding alone does not explain, where it was not measured."""
        return [found for found in self.departures if found.verdict == UNEXPLAINED]


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
            furthest=float(row["furthest"]),
            furthest_times=float(row["furthest_times"]),
            undecided=bool(row["undecided"]),
        )
        for row in rows.to_dict(orient="records")
    ]


def spreads(departure: float) -> str:
    """Return a departure in words."""
    return f"{amount(departure)} rounding spreads"


def amount(departure: float) -> str:
    """Return a departure as a number of two digits or more."""
    return f"{departure:,.0f}" if departure >= 10 else f"{departure:.1f}"
