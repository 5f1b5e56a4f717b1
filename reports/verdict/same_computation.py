"""Does tonight compute what the reference computes? Run by run, from the same initial weights."""

from __future__ import annotations

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
from reports.runs.night import Configuration, Night
from reports.verdict.acceptance import Acceptance
from reports.verdict.departure import Compared, Departure, as_departures, name_of, spreads

SHOWN_AT_MOST = 5


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
class OtherStart:
    """A configuration whose runs start from other initial weights than fastai's of their seeds."""

    name: str
    seeds: int
    """How many seeds do."""
    of_seeds: int
    """How many seeds fastai has of it."""

    def sentence(self) -> str:
        """Say so."""
        return (
            f"{self.name} starts from other initial weights than {FASTAI}'s run of its seed "
            f"({self.seeds} of {counted(self.of_seeds, 'seed')})"
        )


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
    """Configurations with other initial weights than fastai's."""
    open: int
    """Float32 runs whose seed has a reference, that are not held against it."""
    accepted: Mapping[str, int] = field(default_factory=dict)
    """Seeds of the configurations that depart, as the baseline was accepted to do, by name."""
    accepted_for: str = ""
    """The reason."""

    @property
    def passed(self) -> bool:
        """Whether every configuration has a reference, and none departs but the accepted ones.

        Every float32 run of a seed that has a reference must be held against it.
        """
        wrong = self.others or self.unexplained or self.uncovered or self.open
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


def compare(night: Night, acceptance: Acceptance | None = None) -> SameComputation:
    """Hold a night's runs against the reference runs of their seeds.

    What the baseline was accepted with is set apart where it departs.
    """
    return verdict_of(held_runs(night), acceptance)


def held_runs(night: Night) -> Held:
    """Return a night's runs beside their reference runs."""
    faults = night.selection.runs["injected_fault"].dropna().unique()
    runs = trained_runs(night.contents, *faults[:1])
    return hold(runs, night.contents.epochs, references(runs))


def verdict_of(held: Held, acceptance: Acceptance | None = None) -> SameComputation:
    """Return what runs beside their references come to."""
    cells = held.cells
    found, starts = as_departures(cells), _other_starts(held)
    may_depart = acceptance.from_reference if acceptance else ()
    departing = [each for each in found if each.verdict in (ANOTHER_COMPUTATION, UNEXPLAINED)]
    accepted = {each.name: each.seeds for each in departing if each.name in may_depart}
    accepted |= {each.name: each.seeds for each in starts if each.name in may_depart}
    used = [each for each in found if each.verdict != NO_REFERENCE and each.name not in accepted]
    covered = {each.configuration for each in found if each in used or each.name in accepted}
    bits = cells.groupby("run_id")["same"].all()
    reasons = held.unheld["reason"].value_counts()
    pairs = zip(held.unheld["variant"], held.unheld["backend"], strict=True)
    known = held.unheld["reason"].isin([OTHER_WEIGHTS, NO_HASH, NO_EPOCHS])
    columns = (held.unheld[name] for name in ("variant", "backend", "initialisation"))
    own = [name_of(*names) in accepted for names in zip(*columns, strict=True)]
    known &= ~(np.array(own, dtype=bool) & (held.unheld["reason"] == OTHER_WEIGHTS))
    uncovered = {each.configuration for each in found} | {(str(v), str(b)) for v, b in pairs}
    covered |= {(v, b) for v, b in uncovered if f"{v} {b}" in accepted}
    return SameComputation(
        departures=tuple(used),
        odd=tuple(_odd_runs(cells, used)),
        same_digits=int(bits.sum()),
        without_reference={str(reason): int(count) for reason, count in reasons.items()},
        uncovered=tuple(sorted(uncovered - covered)),
        other_starts=tuple(each for each in starts if each.name not in accepted),
        open=int(known.sum()),
        accepted=dict(sorted(accepted.items())),
        accepted_for=acceptance.reason if acceptance and accepted else "",
    )


def _other_starts(held: Held) -> list[OtherStart]:
    """Return the configurations with other initial weights than fastai's, by name."""
    columns = [*CONFIGURATION, "seed"]
    fastai = held.unheld["reference_name"] == FASTAI
    float32 = held.unheld["dtype"] == "float32"
    unheld = held.unheld.loc[fastai & float32, [*columns, "reason"]]
    runs = pd.concat([held.cells.loc[held.cells["reference_name"] == FASTAI, columns], unheld])
    other = runs["seed"].where(runs["reason"] == OTHER_WEIGHTS)
    counts = (
        runs.assign(other=other)
        .groupby(CONFIGURATION)
        .agg(seeds=("other", "nunique"), of_seeds=("seed", "nunique"))
    )
    return [
        OtherStart(
            name_of(row["variant"], row["backend"], row["initialisation"]),
            row["seeds"],
            row["of_seeds"],
        )
        for row in counts[counts["seeds"] > 0].reset_index().to_dict(orient="records")
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
