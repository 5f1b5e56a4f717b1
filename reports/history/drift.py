"""A slow drift over nights, too small for any one night to show: CUSUM charts over the grid.

Each night's mean of a configuration and measure is held against a fixed reference mean as a t
statistic, from the night's own standard deviation and number of seeds, and turned into the normal
value of the same tail probability. For normal draws and a known reference these values are
independent N(0, 1) while nothing changes, whatever the spread. They are summed in two one-sided
charts (Page 1954, *Biometrika* 41:100): S = max(0, S + value - reference value), and the same of
the negative values.

What does not average out over nights is seed variance that stays: that of the reference mean, a
draw of m seeds itself, and that of the seeds, where a night runs those of an earlier night again.
Both are accounted for by a larger reference value: to 1/2 is added z sqrt(n / m), and z sqrt(n / m
+ 1) for seeds run again, n being the night's seeds and z so that with 95% confidence no
configuration and measure has more seed variance. With this confidence, false alarms over the whole
grid are as rare as stated; what stays within the seed variance is not seen. A night with fresh
seeds therefore sees the smallest drifts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from reports.history.nights import configurations
from reports.statistics.cusum import REFERENCE_VALUE, cusum, standardise, threshold
from reports.verdict.stage import MEASURES

FALSE_ALARM_NIGHTS = 1095
"""Three years between two false alarms over the whole grid, on average."""
FIRST_NIGHTS = 10
"""Without a baseline, so many first nights are the reference; those after them are tested."""
CONFIDENCE = 0.95
BEYOND = 3.0
"""How far a chart may rise above the threshold: six nights after a drift has gone it is below."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """A configuration and measure whose mean has drifted one way.

    ``since`` is the night on which the chart that alarmed last left zero: where the drift most
    likely began. ``mean`` is over the seeds from there to the last flagged night, and
    ``standard_errors`` the average distance from ``reference_mean`` in those of a night's mean.
    """

    variant: str
    backend: str
    measure: str
    since: pd.Timestamp
    flagged: tuple[pd.Timestamp, ...]
    """The nights on which the chart was at the threshold or above, the first being the alarm."""
    standing: bool
    """Whether the last night is flagged."""
    mean: float
    reference_mean: float
    standard_errors: float

    @property
    def worse(self) -> bool:
        """Whether it drifted for the worse."""
        return (self.mean < self.reference_mean) == MEASURES[self.measure]


@dataclass(frozen=True)
class DriftTest:
    """The drifts found, in the order of the grid, and what the test was."""

    drifts: tuple[Drift, ...]
    columns: int
    """Configurations and measures that had a night to be tested."""
    nights: int
    """Nights that were tested in the column that has most."""
    threshold: float
    false_alarm_nights: int
    with_baseline: bool


def lasting_seed_variance(columns: int) -> float:
    """Return how many standard deviations none of so many normal means exceeds, either way."""
    return -float(ndtri((1 - CONFIDENCE ** (1 / columns)) / 2))


@dataclass(frozen=True)
class _Column:
    """The tested nights of a configuration and measure; arrays of shape (nights,)."""

    configuration: tuple[str, str]
    measure: str
    nights: tuple[pd.Timestamp, ...]
    means: Array
    seeds: Array
    distances: Array
    seed_variance: Array
    """Variance of the seed variance that stays, in squared standard errors."""
    reference_mean: float


def find_drifts(
    history: pd.DataFrame,
    baseline: pd.DataFrame | None = None,
    false_alarm_nights: int = FALSE_ALARM_NIGHTS,
) -> DriftTest:
    """Test every configuration and measure for a drift away from the baseline.

    ``history`` has the columns of ``reports.history.nights.SCHEMA``, and ``baseline`` is what
    ``reports.history.nights.moments`` returns of its grid: the nights that are later than the
    baseline are tested. Without a baseline, or for a configuration that it lacks, a configuration's
    first ``FIRST_NIGHTS`` nights are the reference, and those after them are tested.
    """
    known = history[:0] if baseline is None else baseline
    found = [
        _column(history, known, configuration, measure)
        for configuration in configurations(history)
        for measure in MEASURES
    ]
    columns = [column for column in found if column is not None]
    if not columns:
        return DriftTest((), 0, 0, math.nan, false_alarm_nights, baseline is not None)
    level = threshold(false_alarm_nights, len(columns))
    stays = lasting_seed_variance(len(columns))
    return DriftTest(
        drifts=tuple(drift for column in columns for drift in _drifts(column, level, stays)),
        columns=len(columns),
        nights=max(len(column.nights) for column in columns),
        threshold=level,
        false_alarm_nights=false_alarm_nights,
        with_baseline=baseline is not None,
    )


def _column(
    history: pd.DataFrame, baseline: pd.DataFrame, configuration: tuple[str, str], measure: str
) -> _Column | None:
    """Return a column; None where no night can be tested."""
    mean, deviation = f"{measure}_mean", f"{measure}_sd"
    rows = _of(history, configuration).sort_values("night")
    rows = rows[(rows["seeds"] > 1) & (rows[deviation] > 0)]
    again = rows["seed_ranges"].duplicated().to_numpy()
    reference = _of(baseline, configuration)
    reference = reference[reference["seeds"] > 0]
    if len(reference):
        later = rows["night"] > reference["night"].iloc[0]
    else:
        later = pd.Series(np.arange(len(rows)) >= FIRST_NIGHTS, rows.index)
        reference = rows[~later]
    if not later.any():
        return None
    tested = rows[later]
    drawn = reference.drop_duplicates("seed_ranges")["seeds"].sum()
    reference_mean = float(np.average(reference[mean], weights=reference["seeds"]))
    means, seeds = (tested[name].to_numpy(dtype=np.float64) for name in (mean, "seeds"))
    return _Column(
        configuration=configuration,
        measure=measure,
        nights=tuple(tested["night"]),
        means=means,
        seeds=seeds,
        distances=standardise(means, tested[deviation].to_numpy(), seeds, reference_mean),
        seed_variance=seeds / drawn + again[later],
        reference_mean=reference_mean,
    )


def _of(rows: pd.DataFrame, configuration: tuple[str, str]) -> pd.DataFrame:
    return rows[(rows["variant"] == configuration[0]) & (rows["backend"] == configuration[1])]


def _drifts(column: _Column, level: float, stays: float) -> list[Drift]:
    """Return the drifts of a column: up, down, both or none."""
    found = []
    reference_values = REFERENCE_VALUE + stays * np.sqrt(column.seed_variance)
    for chart in cusum(column.distances, reference_values, highest=level + BEYOND):
        flagged = np.flatnonzero(chart >= level)
        if len(flagged):
            zeros = np.flatnonzero(chart[: flagged[0]] == 0)
            since = int(zeros[-1]) + 1 if len(zeros) else 0
            span = slice(since, int(flagged[-1]) + 1)
            found.append(
                Drift(
                    *column.configuration,
                    measure=column.measure,
                    since=column.nights[since],
                    flagged=tuple(column.nights[night] for night in flagged),
                    standing=bool(flagged[-1] == len(chart) - 1),
                    mean=float(np.average(column.means[span], weights=column.seeds[span])),
                    reference_mean=column.reference_mean,
                    standard_errors=float(column.distances[span].mean()),
                )
            )
    return found
