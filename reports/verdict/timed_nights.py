"""Can the verdict on throughput be trusted? Its false alarms, and the slow-downs that it finds.

Each measurement is a night, held against another of the series as ``reports check`` does. A
slow-down multiplies the recorded times, which is exact for one that is uniform.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import log
from typing import Any

import pandas as pd

from bench.plan.grid import reference_backend
from bench.store.records import OK
from hnrnn.variants import VARIANTS
from reports.runs.night import Configuration
from reports.runs.ratios import DEVICE, WALL
from reports.verdict.throughput import (
    ALL_MODELS,
    Change,
    Key,
    Ratio,
    compare,
    is_absolute,
    ratios_of,
)

PHASE = "train_step"
SLOWDOWNS = (0.05, 0.1, 0.2, 0.5)
"""How much longer a step takes, as a share."""
NOWHERE, BACKEND, REFERENCE, EVERYTHING = "nowhere", "one backend", "the reference", "everything"
"""Where a night is slower: in one configuration, in one variant's reference, or in all but the
calibration workload."""
CASES = (
    (NOWHERE, 0.0),
    *((place, slow) for place in (BACKEND, REFERENCE, EVERYTHING) for slow in SLOWDOWNS),
)
CLOCKS = {WALL: "wall_milliseconds", DEVICE: "cpu_milliseconds"}
KEYS = ["night", "variant", "backend", "aa_control"]
DIGITS = 4
"""Significant digits of a recorded time."""
ALIKE: Mapping[str, Any] = {
    "device_name": "a processor",
    "device": "cpu",
    "dtype": "float32",
    "threads": 1,
    "phase": PHASE,
    "status": OK,
    "steps": 1,
    "started_at": 0,
}
"""What all rows have in common, as far as the verdict reads it."""


def recorded(samples: pd.DataFrame) -> pd.DataFrame:
    """Return measurements of the training step, one row per configuration and night.

    ``samples`` are rows of the ``throughput`` table, of any number of measurements on one device.
    The milliseconds per step of the rounds are joined by spaces. Raises ValueError for fewer than
    three measurements, or for rounds without a CPU time.
    """
    rows = samples[(samples["status"] == OK) & (samples["phase"] == PHASE)]
    order = rows.groupby("measurement_id")["started_at"].min().sort_values(kind="stable").index
    if len(order) < 3:
        raise ValueError(f"{len(order)} measurements of {PHASE} are too few to compare")
    if rows[DEVICE].isna().any():
        raise ValueError("some rounds have no CPU time")
    numbers = {name: number for number, name in enumerate(order)}
    rows = rows.assign(night=rows["measurement_id"].map(numbers)).sort_values([*KEYS, "round"])
    for clock, name in CLOCKS.items():
        each = 1000 * rows[clock] / rows["steps"]
        rows[name] = each.map(f"{{:.{DIGITS}g}}".format)
    return rows.groupby(KEYS, as_index=False)[list(CLOCKS.values())].agg(" ".join)


def restored(nights: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of the ``throughput`` table of each night, from what ``recorded`` returned.

    They have the columns that the verdict needs; a block is one step.
    """
    columns = {clock: nights[name].str.split() for clock, name in CLOCKS.items()}
    rows = nights[KEYS].assign(**columns, round=columns[WALL].map(lambda r: [*range(len(r))]))
    rows = rows.explode([*CLOCKS, "round"], ignore_index=True)
    rows = rows.astype(dict.fromkeys(CLOCKS, float))
    rows[list(CLOCKS)] /= 1000
    for name, value in ALIKE.items():
        rows[name] = value
    rows["kernel"] = rows["backend"]
    rows["measurement_id"] = rows["night"]
    return [own.drop(columns="night") for _, own in rows.groupby("night")]


def rates_of(nights: pd.DataFrame, cases: Sequence[tuple[str, float]] = CASES) -> pd.DataFrame:
    """Return how often each slow-down is found, and how often one that is not there.

    ``nights`` are as ``recorded`` returns them. A night is held against the one a third of the
    series later, so that every night is a baseline once. Returns one row per place and slow-down:
    ``place, slowdown, nights, found``. Of the untouched nights those count that fail.
    """
    measured = [ratios_of(night) for night in restored(nights)]
    distance = max(1, len(measured) // 3)
    rows: list[list[object]] = []
    for place, slowdown in cases:
        found = 0
        for number, night in enumerate(measured):
            where = _where(night, place, number)
            changes = compare(
                _slowed(night, where, slowdown), measured[(number + distance) % len(measured)]
            )
            found += any(_is_found(change, place, where) for change in changes)
        rows.append([place, slowdown, len(measured), found])
    return pd.DataFrame(rows, columns=["place", "slowdown", "nights", "found"])


def _where(night: Collection[Key], place: str, number: int) -> set[Configuration]:
    """Return the configurations that are slower; a night's number chooses the one, if it is one."""
    references = sorted({(key[3], key[5]) for key in night if is_absolute(key)})
    others = sorted({(key[3], key[5]) for key in night if not is_absolute(key)})
    return {
        NOWHERE: set(),
        BACKEND: {others[number % len(others)]},
        REFERENCE: {references[number % len(references)]},
        EVERYTHING: {*references, *others},
    }[place]


def _slowed(
    night: Mapping[Key, Ratio], where: Collection[Configuration], slowdown: float
) -> dict[Key, Ratio]:
    """Return the ratios of a night whose configurations ``where`` take so much longer.

    A factor of all times moves the logarithm of their median, and nothing else.
    """
    longer = dict.fromkeys(where, log(1 + slowdown))
    moved = {}
    for key, ratio in night.items():
        variant, own = key[3], (key[3], key[5])
        change = -longer.get(own, 0.0)
        if not is_absolute(key):
            change += longer.get((variant, reference_backend(VARIANTS[variant])), 0.0)
        moved[key] = replace(ratio, level=ratio.level + change)
    return moved


def _is_found(change: Change, place: str, where: Collection[Configuration]) -> bool:
    """Say whether a change is slower and names what was slowed down: a reference as such."""
    if place == NOWHERE or (place == EVERYTHING and change.variant == ALL_MODELS):
        return change.slower
    named = (change.variant, change.backend) in where
    return change.slower and named and change.absolute == (place != BACKEND)
