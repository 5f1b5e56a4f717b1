"""How often ``check`` is right: its rate of false alarms, and of injected faults found.

``reports calibrate`` measured the counts once; they are published with the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from reports.statistics.ranks import clopper_pearson

FOLDER = Path(__file__).parents[1] / "published" / "calibration"
NULLS, FAULTS = "null_nights.csv", "faults.csv"


@dataclass(frozen=True)
class Calibration:
    """The simulated nights on which ``check`` was measured, one row each.

    ``nulls``, without a change: ``baseline, night, first, last``; the last two are exit codes of
    ``check``. ``faults``, with an injected fault: ``injected_fault, variants, seeds, night, first,
    last``; None if no faults were measured.
    """

    nulls: pd.DataFrame
    faults: pd.DataFrame | None


@cache
def published_calibration(folder: Path = FOLDER) -> Calibration | None:
    """Return the published calibration, or None if ``folder`` has none."""
    nulls, faults = folder / NULLS, folder / FAULTS
    if not nulls.exists():
        return None
    return Calibration(pd.read_csv(nulls), pd.read_csv(faults) if faults.exists() else None)


@dataclass(frozen=True)
class Rate:
    """How often something happened, with its 95% Clopper-Pearson interval."""

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


def false_alarms(nights: pd.DataFrame) -> tuple[Rate, Rate]:
    """Return how often a night without a change was suspected, and how often it failed."""
    return _rate(nights["first"] != 0), _rate(nights["last"] == 1)


def rates_by_fault(nights: pd.DataFrame) -> Iterator[tuple[str, str, int, Rate, Rate]]:
    """Yield each fault, its variants, number of seeds, and how often it was noticed and failed.

    A night is noticed unless its first exit code is 0. It fails with exit code 1, or with 3 for
    corrupt data.
    """
    for (fault, variants, seeds), rows in nights.groupby(["injected_fault", "variants", "seeds"]):
        noticed, failed = _rate(rows["first"] != 0), _rate(rows["last"].isin([1, 3]))
        yield str(fault), str(variants), int(str(seeds)), noticed, failed


def _rate(happened: pd.Series) -> Rate:
    return Rate(int(happened.sum()), len(happened))
