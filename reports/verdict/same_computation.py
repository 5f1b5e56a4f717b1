"""Does tonight compute what the reference computes? Run by run, from the same initial weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench.text import counted
from hnrnn import departures
from hnrnn.departures import ANOTHER_COMPUTATION, NO_REFERENCE, UNEXPLAINED
from hnrnn.distances import OTHER_WEIGHTS
from hnrnn.variants import VARIANTS
from reports.runs.completeness import ranges
from reports.runs.departures import (
    CONFIGURATION,
    FASTAI,
    NO_EPOCHS,
    NO_HASH,
    OURS,
    Held,
    by_device,
    hold,
    references,
    trained_runs,
)
from reports.runs.night import Configuration, Night, configurations_of
from reports.verdict.acceptance import Acceptance
from reports.verdict.departure import Compared, Departure, as_departures, names_in, spreads
from reports.verdict.pairs import Partners
from reports.verdict.starts import OtherStart, other_starts, starts_of, unrecorded

SHOWN_AT_MOST = 5
ALONE = Partners()
"""A night without a baseline."""


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
class SameComputation(Compared):
    """All runs of a night held against the reference runs of their seeds."""

    departures: tuple[Departure, ...]
    odd: tuple[OddRun, ...]
    same_digits: int
    """Runs that equal their reference in all its digits."""
    without_reference: Mapping[str, int]
    """How many runs have none, by the reason."""
    uncovered: tuple[Configuration, ...]
    """Configurations that have runs, and none with a reference."""
    other_starts: tuple[OtherStart, ...]
    """Configurations with other initial weights than known runs of their seeds."""
    open: int
    """Float32 runs whose seed has a reference, that are not held against it."""
    accepted: Mapping[str, int] = field(default_factory=dict)
    """Seeds of the configurations that depart, as the baseline was accepted to do, by name."""
    accepted_for: str = ""
    """The reason."""
    unpaired: Mapping[str, str] = field(default_factory=dict)
    """Seeds of configurations that may depart, and that neither the baseline nor the reference
    shows to be the same, by name."""
    unrecorded: tuple[str, ...] = ()
    """Configurations with runs whose initial weights are not recorded, while others' are."""

    @property
    def passed(self) -> bool:
        """Whether every configuration has a reference, and none departs but the accepted ones.

        Every float32 run of a seed that has a reference must be held against it.
        """
        kinds = (self.others, self.unexplained, self.uncovered, self.open, self.other_starts)
        wrong = any([*kinds, self.unpaired, self.unrecorded])
        return bool(self.departures or self.accepted) and not wrong

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


def compare(
    night: Night, acceptance: Acceptance | None = None, partners: Partners = ALONE
) -> SameComputation:
    """Hold a night's runs against the reference runs of their seeds.

    What the baseline was accepted with is set apart where it departs and has ``partners`` in it.
    """
    return verdict_of(held_runs(night), acceptance, partners)


def held_runs(night: Night) -> Held:
    """Return a night's runs beside their reference runs."""
    faults = night.selection.runs["injected_fault"].dropna().unique()
    runs = trained_runs(night.contents, *faults[:1])
    return hold(runs, night.contents.epochs, references(runs))


def verdict_of(
    held: Held, acceptance: Acceptance | None = None, partners: Partners = ALONE
) -> SameComputation:
    """Return what runs beside their references come to."""
    may_depart = acceptance.from_reference if acceptance else ()
    cells = held.cells.assign(name=names_in(held.cells))
    unheld = held.unheld.assign(name=names_in(held.unheld))
    own = cells["name"].isin(may_depart) & cells["run_id"].isin(partners.ours)
    found, by_pair = as_departures(cells[~own]), as_departures(cells[own])
    alone = {each.name for each in found if _departs(each) and each.name in may_depart}
    used = [each for each in found if each.name not in alone]
    used += [each for each in by_pair if not _departs(each)]
    used = [each for each in used if each.verdict != NO_REFERENCE]
    accepted_starts = unheld["name"].isin(may_depart) & unheld["run_id"].isin(partners.ours)
    accepted_starts &= unheld["reason"] == OTHER_WEIGHTS
    accepted = Counter({each.name: each.seeds for each in by_pair if _departs(each)})
    accepted.update(unheld.loc[accepted_starts, "name"])
    known = unheld["reason"].isin([OTHER_WEIGHTS, NO_HASH, NO_EPOCHS]) & ~accepted_starts
    there = {each.configuration for each in (*found, *by_pair)} | configurations_of(unheld)
    named = pd.concat([cells, unheld])
    covered = {each.configuration for each in used}
    covered |= configurations_of(named[named["name"].isin(accepted)])
    starts = starts_of(
        cells.assign(alone=cells["name"].isin(alone) & ~own), unheld, may_depart, partners
    )
    reasons = unheld["reason"].value_counts()
    return SameComputation(
        departures=tuple(sorted(used, key=lambda each: (*each.configuration, each.initialisation))),
        odd=tuple(_odd_runs(cells, used)),
        same_digits=int(cells.groupby("run_id")["same"].all().sum()),
        without_reference={str(reason): int(count) for reason, count in reasons.items()},
        uncovered=tuple(sorted(there - covered)),
        other_starts=tuple(other_starts(starts)),
        open=int(known.sum()),
        accepted=dict(sorted(accepted.items())),
        accepted_for=acceptance.reason if acceptance and accepted else "",
        unpaired={
            str(name): ranges(seeds)
            for name, seeds in starts[starts["unpaired"]].groupby("name")["seed"]
        },
        unrecorded=unrecorded(unheld, may_depart, partners, some=not cells.empty),
    )


def _departs(found: Departure) -> bool:
    return found.verdict in (ANOTHER_COMPUTATION, UNEXPLAINED)


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
    if ours == same.runs:
        whose = f"{OURS} of their seeds"
    elif ours:
        own = same.runs - ours
        whose = f"the runs of their seeds ({own:,} against {FASTAI}'s own, {ours:,} against {OURS})"
    digits = "equal, but for the last of seven digits,"
    how = digits if same.same_digits == same.runs else "are the same to rounding as"
    odd = ""
    if same.odd:
        lies = "lies" if len(same.odd) == 1 else "lie"
        odd = f"; {counted(len(same.odd), 'single run')} {lies} further off"
        odd += f", as rounding sometimes makes {'it' if len(same.odd) == 1 else 'them'}"
    return (
        f"{same.runs:,} {'run' if same.runs == 1 else 'runs'} of "
        f"{counted(configurations, 'configuration')} {how} {whose}{odd}"
    )


def accepted_in_words(same: SameComputation) -> str:
    """Say what was accepted, and for which configurations; nothing where nothing was."""
    return f"accepted: {same.accepted_for} ({', '.join(same.accepted)})" if same.accepted else ""


def undecided_in_words(same: SameComputation) -> list[str]:
    """Say of which runs nothing shows that they are the same computation."""
    return [
        f"{name}: its departure is accepted, and the baseline has no runs of "
        f"seed{'' if seeds.isdecimal() else 's'} {seeds}: train the baseline's seeds"
        for name, seeds in same.unpaired.items()
    ] + [
        f"{name}: its initial weights are not recorded, so nothing shows that it is the same "
        "computation"
        for name in same.unrecorded
    ]


def nearest(same: SameComputation) -> Departure:
    """Return the departure that is nearest to its limit."""
    return max(same.departures, key=lambda found: np.nan_to_num(found.nearness, nan=-1.0))


def reference_of(found: Departure) -> str:
    """Return whose runs a configuration is held against."""
    return OURS if found.seeds_of_ours == found.seeds else f"{FASTAI}'s"


def reasons_in_words(same: SameComputation) -> str:
    """Say how many runs have no reference, and why."""
    return "; ".join(
        f"{counted(count, 'run')}: {reason}" for reason, count in same.without_reference.items()
    )


def odd_in_words(same: SameComputation) -> list[str]:
    """Name the runs that depart on their own; of many, the first."""
    lines = [
        f"{odd.variant} {odd.backend} seed {odd.seed} alone is further from its reference than "
        f"healthy executions were (epoch {odd.epoch}, {odd.column}, {spreads(odd.departure)}). "
        "Among many seeds a few are, and that changes no verdict."
        for odd in same.odd[:SHOWN_AT_MOST]
    ]
    if len(same.odd) > SHOWN_AT_MOST:
        lines.append(f"{len(same.odd) - SHOWN_AT_MOST} more runs are as far, each alone.")
    return lines
