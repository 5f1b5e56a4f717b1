"""Slow drifts that no single night can show: CUSUM charts over the grid.

Each night's mean of a configuration and measure is compared with a fixed reference mean. The t
statistic, from the night's own standard deviation and number of seeds, becomes the normal value of
the same tail probability. For normal draws and a known reference, these values are independent N(0,
1) while nothing changes. ``reports.statistics.cusum`` sums them in two one-sided charts.

Two parts of the seed variance do not average out over nights: that of the reference mean, which is
a draw of m seeds, and that of seeds which several nights share. A larger reference value accounts
for both: 1/2 + z sqrt(n / m), or 1/2 + z sqrt(n / m + 1) for shared seeds, where n is the night's
number of seeds. With 95% confidence, no configuration and measure exceeds z; false alarms are then
as rare as stated. A drift within the seed variance is not detected, so that nights with fresh seeds
detect the smallest drifts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from reports.runs.night import Configuration, configurations_of, is_in
from reports.statistics.cusum import REFERENCE_VALUE, cusum, standardise, threshold
from reports.verdict.stage import MEASURES

FALSE_ALARM_NIGHTS = 1095
"""Three years from one false alarm to the next over the whole grid, on average."""
FIRST_NIGHTS = 10
"""Without a baseline, the first nights are the reference for those after them."""
CONFIDENCE = 0.95
BEYOND = 3.0
"""How far a chart may exceed the threshold; it falls below six nights after a drift has gone."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """A configuration and measure whose mean has drifted one way.

    ``since`` is the likely beginning: the night on which the chart left zero before the alarm.
    ``mean`` is over the seeds from there to the last flagged night, and ``standard_errors`` is the
    average distance of a night's mean from ``reference_mean``.
    """

    variant: str
    backend: str
    measure: str
    since: pd.Timestamp
    flagged: tuple[pd.Timestamp, ...]
    """The nights on which the chart was at or above the threshold; the first raised the alarm."""
    standing: bool
    """Whether the last night is flagged."""
    mean: float
    reference_mean: float
    standard_errors: float

    @property
    def worse(self) -> bool:
        """Whether the drift is for the worse."""
        return (self.mean < self.reference_mean) == MEASURES[self.measure]


@dataclass(frozen=True)
class DriftTest:
    """The drifts found, in the order of the grid, and the extent of the test."""

    drifts: tuple[Drift, ...]
    columns: int
    """Configurations and measures with a tested night."""
    nights: int
    """Tested nights of the column that has the most."""
    threshold: float
    false_alarm_nights: int
    with_baseline: bool


def lasting_seed_variance(columns: int) -> float:
    """Return the two-sided bound, in standard deviations, on this many independent normal means."""
    return -float(ndtri((1 - CONFIDENCE ** (1 / columns)) / 2))


@dataclass(frozen=True)
class _Column:
    """The tested nights of a configuration and measure; arrays of shape (nights,)."""

    configuration: Configuration
    measure: str
    nights: tuple[pd.Timestamp, ...]
    means: Array
    seeds: Array
    distances: Array
    seed_variance: Array
    """The seed variance that does not average out, in squared standard errors."""
    reference_mean: float


def find_drifts(
    history: pd.DataFrame,
    baseline: pd.DataFrame | None = None,
    false_alarm_nights: int = FALSE_ALARM_NIGHTS,
) -> DriftTest:
    """Test every configuration and measure for a drift away from the baseline.

    ``history`` has the columns of ``reports.history.nights.SCHEMA``; ``baseline`` holds the
    ``moments`` of its grid. Nights later than the baseline are tested. For a configuration without
    a baseline, the first ``FIRST_NIGHTS`` nights are the reference for those after them.
    """
    known = history[:0] if baseline is None else baseline
    found = [
        _column(history, known, configuration, measure)
        for configuration in sorted(configurations_of(history))
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
    history: pd.DataFrame, baseline: pd.DataFrame, configuration: Configuration, measure: str
) -> _Column | None:
    """Return the tested nights of a configuration and measure, or None if there are none."""
    mean, deviation = f"{measure}_mean", f"{measure}_sd"
    rows = history[is_in(history, [configuration])].sort_values("night")
    rows = rows[(rows["seeds"] > 1) & (rows[deviation] > 0)]
    again = rows["seed_ranges"].duplicated().to_numpy()
    reference = baseline[is_in(baseline, [configuration]) & (baseline["seeds"] > 0)]
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


def _drifts(column: _Column, level: float, stays: float) -> list[Drift]:
    """Return the drifts of a column, at most one in each direction."""
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
