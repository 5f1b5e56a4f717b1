"""How often ``check`` is right: its rate of false alarms, and of what it finds.

``reports calibrate`` and ``bench rounding`` measured the counts once; they are published with the
project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from reports.statistics.ranks import clopper_pearson

FOLDER = Path(__file__).parents[1] / "published" / "calibration"
NULLS, SHIFTED = "null_nights.csv", "shifted_nights.csv"
TIMED, SLOWED = "timed_nights.csv", "slowed_nights.csv"
DETECTION = FOLDER.parent / "rounding" / "detection.csv"
DETECTION_EPOCHS = 2
ALL_GATES = "all gates"


@dataclass(frozen=True)
class Calibration:
    """The simulated nights on which ``check`` was measured.

    ``nulls``, without a change, one row each: ``kind, night, first, last, gate``; ``first`` and
    ``last`` are exit codes of ``check``, ``gate`` is what raised an alarm. ``shifted`` has one row
    per size of a shift: ``shift, seeds, baseline_seeds, nights, suspected``. ``detection`` counts
    how often injected faults depart from the reference runs, one row per ``kind, variant, seeds,
    epochs`` with ``nights, found``. ``slowed`` counts how often slow-downs are found, as
    ``reports.verdict.timed_nights.rates_of`` returns it.
    """

    nulls: pd.DataFrame
    shifted: pd.DataFrame
    detection: pd.DataFrame
    slowed: pd.DataFrame


@cache
def published_calibration(folder: Path = FOLDER) -> Calibration | None:
    """Return the published calibration, or None if ``folder`` has none."""
    files = [folder / NULLS, folder / SHIFTED, DETECTION, FOLDER / SLOWED]
    if not all(path.exists() for path in files):
        return None
    return Calibration(*map(pd.read_csv, files))


@dataclass(frozen=True)
class Rate:
    """How often something happened, with its 95% Clopper-Pearson interval.

    The trials are independent: every simulated night has a baseline of its own.
    """

    count: int
    trials: int

    @property
    def share(self) -> float:
        """The rate."""
        return self.count / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the rate."""
        return clopper_pearson(self.count, self.trials)

    def __str__(self) -> str:
        """Return count, rate and interval."""
        low, high = self.interval
        return f"{self.count} of {self.trials} ({self.share:.1%}; {low:.1%} to {high:.1%})"


def false_alarms(nights: pd.DataFrame) -> Iterator[tuple[str, str, Rate, Rate, Rate]]:
    """Yield each kind of nights without a change, a gate, and how often it raised a false alarm.

    The rates are of nights suspected, of those that fresh seeds did not clear, and of those that
    failed. All gates together come first.
    """
    gates = sorted(nights.loc[nights["first"] != 0, "gate"].dropna().unique())
    for kind, rows in nights.groupby("kind"):
        for gate in (ALL_GATES, *gates):
            own = (rows["gate"] == gate) | (gate == ALL_GATES)
            first, last = rows["first"].where(own, 0), rows["last"].where(own, 0)
            yield str(kind), str(gate), _rate(first != 0), _rate(last != 0), _rate(last == 1)


def found_faults(detection: pd.DataFrame) -> dict[str, dict[int, Rate]]:
    """Return how often each injected fault departs after two epochs, by the number of seeds."""
    rows = detection[detection["epochs"] == DETECTION_EPOCHS]
    rates: dict[str, dict[int, Rate]] = {}
    for (kind, seeds), own in rows.groupby(["kind", "seeds"]):
        rate = Rate(int(own["found"].sum()), int(own["nights"].sum()))
        rates.setdefault(str(kind), {})[int(str(seeds))] = rate
    return rates


def noticed_shifts(shifted: pd.DataFrame) -> Iterator[tuple[float, int, int, Rate]]:
    """Yield each shift, the seeds of a night and of its baseline, and how often it was noticed."""
    for row in shifted.astype(float).to_numpy():
        shift, seeds, baseline_seeds, nights, suspected = row.tolist()
        yield shift, int(seeds), int(baseline_seeds), Rate(int(suspected), int(nights))


def found_slowdowns(slowed: pd.DataFrame) -> dict[str, dict[float, Rate]]:
    """Return how often a slow-down was found, by its place and its share of a step's time.

    The share 0 has the false alarms.
    """
    rates: dict[str, dict[float, Rate]] = {}
    for place, slowdown, nights, found in slowed.itertuples(index=False, name=None):
        rates.setdefault(str(place), {})[float(slowdown)] = Rate(int(found), int(nights))
    return rates


def _rate(happened: pd.Series) -> Rate:
    return Rate(int(happened.sum()), len(happened))
