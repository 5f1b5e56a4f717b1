"""Slow drifts that no single night can show: CUSUM charts over the grid.

Each night's final values of a configuration and measure are held against a baseline's by their
ranks: ``reports.statistics.cusum.rank_score`` is Wilcoxon's, which is valid for any distribution.
Two one-sided charts sum the scores over the nights.

Part of the seed variance does not average out over nights: that of the baseline, which is one draw,
and that of seeds which several nights share. A larger reference value accounts for it: 1/2 + z
times the deviation that stays. With 95% confidence, no configuration and measure exceeds z; false
alarms are then as rare as stated, or rarer. A drift within the seed variance is not detected.

The usual night repeats seeds of its baseline. They are compared in pairs, whose seed variance
cancels. Where they differ by rounding, the scores are near 0. Single nights of such seeds are held
against their references to rounding elsewhere (``reports.verdict.same_computation``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from reports.history.nights import FINAL_VALUES, MEASURED, values_of
from reports.runs.night import Configuration, configurations_of, is_in
from reports.statistics.cusum import REFERENCE_VALUE, cusum, rank_score, threshold
from reports.verdict.grid_test import MEASURES

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
    ``mean`` is over the seeds from there to the last flagged night, ``reference_mean`` is what the
    reference has for the same seeds, or over all of its seeds, and ``score`` is the average score
    of a night: below 0 where the values are lower than the reference's.
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
    score: float

    @property
    def worse(self) -> bool:
        """Whether the drift is for the worse."""
        return (self.score < 0) == MEASURES[self.measure]


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
    without_values: int = 0
    """Nights of which an older version kept no final values; they are not tested."""


def lasting_seed_variance(columns: int) -> float:
    """Return the two-sided bound, in standard deviations, on this many independent normal means."""
    return -float(ndtri((1 - CONFIDENCE ** (1 / columns)) / 2))


@dataclass(frozen=True)
class _Column:
    """The tested nights of a configuration and measure; arrays of shape (nights,)."""

    configuration: Configuration
    measure: str
    nights: tuple[pd.Timestamp, ...]
    seeds: Array
    means: Array
    reference_means: Array
    scores: Array
    stays: Array
    """The part of each score's variance that does not average out."""


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
    columns = [
        column
        for configuration in sorted(configurations_of(history))
        for column in _columns(history, known, configuration)
    ]
    trained = history[history["seeds"] > 0]
    older = trained.loc[trained[FINAL_VALUES].isna(), "night"].nunique()
    if not columns:
        return DriftTest((), 0, 0, math.nan, false_alarm_nights, baseline is not None, older)
    level = threshold(false_alarm_nights, len(columns))
    stays = lasting_seed_variance(len(columns))
    return DriftTest(
        drifts=tuple(drift for column in columns for drift in _drifts(column, level, stays)),
        columns=len(columns),
        nights=max(len(column.nights) for column in columns),
        threshold=level,
        false_alarm_nights=false_alarm_nights,
        with_baseline=baseline is not None,
        without_values=older,
    )


def _columns(
    history: pd.DataFrame, baseline: pd.DataFrame, configuration: Configuration
) -> list[_Column]:
    """Return the tested nights of a configuration, by measure; nothing if there are none."""
    rows = history[is_in(history, [configuration])].sort_values("night")
    rows = rows[rows[FINAL_VALUES].notna() & (rows["seeds"] > 1)]
    reference = baseline[is_in(baseline, [configuration]) & (baseline["seeds"] > 0)]
    if len(reference):
        later = (rows["night"] > reference["night"].iloc[0]).to_numpy()
    else:
        later = np.arange(len(rows)) >= FIRST_NIGHTS
        reference = rows[~later]
    tested = rows[later]
    if tested.empty:
        return []
    drawn = np.concatenate([values_of(text) for text in reference[FINAL_VALUES]])
    drawn = drawn[np.unique(drawn[:, 0], return_index=True)[1]]
    nights = [values_of(text) for text in tested[FINAL_VALUES]]
    return [
        _column(configuration, measure, tuple(tested["night"]), nights, drawn)
        for measure in MEASURES
    ]


def _column(
    configuration: Configuration,
    measure: str,
    nights: tuple[pd.Timestamp, ...],
    values: Sequence[Array],
    drawn: Array,
) -> _Column:
    """Score the nights of a measure; ``values`` and ``drawn`` are as ``values_of`` returns them."""
    place = 1 + MEASURED.index(measure)
    baseline = dict(zip(drawn[:, 0].tolist(), drawn[:, place].tolist(), strict=True))
    earlier: set[float] = set()
    found = []
    for night in values:
        seeds, own = night[:, 0].tolist(), night[:, place]
        pairs = np.array([baseline.get(seed, np.nan) for seed in seeds])
        again = np.array([seed in earlier for seed in seeds])
        score = rank_score(own, drawn[:, place], pairs, again)
        expected = np.where(np.isnan(pairs), drawn[:, place].mean(), pairs).mean()
        found.append((len(seeds), own.mean(), expected, *score))
        earlier.update(seeds)
    return _Column(configuration, measure, nights, *np.array(found).T)


def _drifts(column: _Column, level: float, stays: float) -> list[Drift]:
    """Return the drifts of a column, at most one in each direction."""
    found = []
    reference_values = REFERENCE_VALUE + stays * np.sqrt(column.stays)
    for chart in cusum(column.scores, reference_values, highest=level + BEYOND):
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
                    reference_mean=float(
                        np.average(column.reference_means[span], weights=column.seeds[span])
                    ),
                    score=float(column.scores[span].mean()),
                )
            )
    return found
