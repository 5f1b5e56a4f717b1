"""How often check itself is wrong and right: false alarms, and injected faults found.

The counts were measured once, by ``reports calibrate``, and are published with the project.
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
    """What was measured of check itself.

    ``nulls`` has a row per night without a change: ``baseline, night, first, last``, the last two
    being exit codes of check; ``faults`` one per night with an injected fault: ``injected_fault,
    variants, seeds, night, first, last``, None where no faults were measured.
    """

    nulls: pd.DataFrame
    faults: pd.DataFrame | None


@cache
def published_calibration(folder: Path = FOLDER) -> Calibration | None:
    """Return what is published of check itself; None where it is not there."""
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
    first, last = nights["first"].to_numpy(), nights["last"].to_numpy()
    suspected = int((first != 0).sum())
    return Rate(suspected, len(nights)), Rate(int((last == 1).sum()), len(nights))


def rates_by_fault(nights: pd.DataFrame) -> Iterator[tuple[str, str, int, Rate, Rate]]:
    """Yield of each fault and number of seeds how often it was noticed, and how often it failed.

    Noticed is every exit code but 0; a night failed with 1, or with 3, data that cannot be right.
    """
    for (injected_fault, variants, seeds), rows in nights.groupby(
        ["injected_fault", "variants", "seeds"]
    ):
        noticed = Rate(int((rows["first"] != 0).sum()), len(rows))
        failed = Rate(int(rows["last"].isin([1, 3]).sum()), len(rows))
        yield str(injected_fault), str(variants), int(str(seeds)), noticed, failed
