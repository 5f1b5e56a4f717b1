"""Drifts that no single night can show: CUSUM charts over the grid, and since when.

Each night's final values of a configuration and measure are ranked among a baseline's:
``reports.statistics.cusum.rank_score`` is Wilcoxon's, which is valid for any distribution. Two
one-sided charts sum the scores over the nights. Two more rank the seeds among those of all earlier
nights too; after an alarm that reference no longer grows, so that a drift does not become normal.
Throughput is charted by its ratio to the reference backend, ranked among those of earlier nights.

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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from reports.history.columns import THROUGHPUT, Column, Scoring, scorings_of
from reports.history.nights import FINAL_VALUES
from reports.runs.night import Configuration, configurations_of
from reports.statistics.changes import change_point
from reports.statistics.cusum import REFERENCE_VALUE, cusum, threshold
from reports.verdict.grid_test import MEASURES

FALSE_ALARM_NIGHTS = 1095
"""Three years from one false alarm to the next over the whole grid, on average."""
LARGER_IS_BETTER = {**MEASURES, THROUGHPUT: True}
"""The measures that are charted, and whether larger is better."""
CONFIDENCE = 0.95
LEAST_SHARE = 0.1
BEYOND = 3.0
"""How far a chart may exceed the threshold; it falls below six nights after a drift has gone."""

Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Drift:
    """A configuration and measure whose mean has drifted one way.

    ``since`` is the change point: the first night after the most likely change of the mean.
    ``mean`` is over the seeds from there to the last flagged night, ``reference_mean`` is what the
    reference has for the same seeds, or over all of its seeds, and ``score`` is the average score
    of a night: below 0 where the values are lower than the reference's. Throughput is the ratio to
    the reference backend; its ``mean`` and ``reference_mean`` are geometric, over the nights from
    ``since`` on and before.
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
    commit: str | None = None
    """The commit of the change point's night, if it is known."""
    commit_before: str | None = None
    """The commit of the night before it, after which the change was made."""

    @property
    def worse(self) -> bool:
        """Whether the drift is for the worse."""
        return (self.score < 0) == LARGER_IS_BETTER[self.measure]

    @property
    def way(self) -> str:
        """In which direction the mean has gone, in a word."""
        return "fallen" if self.score < 0 else "risen"


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


def find_drifts(
    history: pd.DataFrame,
    baseline: pd.DataFrame | None = None,
    false_alarm_nights: int = FALSE_ALARM_NIGHTS,
) -> DriftTest:
    """Test every configuration and measure for a drift away from the baseline.

    ``history`` has the columns of ``reports.history.nights.SCHEMA``; ``baseline`` holds the
    ``moments`` of its grid. Nights later than the baseline are tested. For a configuration without
    a baseline, the first ``columns.FIRST_NIGHTS`` nights are the reference for those after them.
    Accuracy and loss of a configuration of few seeds beside another of its variant are left out:
    they would raise the threshold of all and could hardly reach it.
    """
    known = history[:0] if baseline is None else baseline
    scorings = [
        (scoring, scoring(None))
        for configuration in sorted(configurations_of(history))
        for scoring in scorings_of(history, known, configuration)
    ]
    many = _of_many_seeds(history)
    scorings = [
        (scoring, column)
        for scoring, column in scorings
        if column.measure == THROUGHPUT or column.configuration in many
    ]
    trained = history[history["seeds"] > 0]
    older = trained.loc[trained[FINAL_VALUES].isna(), "night"].nunique()
    if not scorings:
        return DriftTest((), 0, 0, math.nan, false_alarm_nights, baseline is not None, older)
    columns = len({(column.configuration, column.measure) for _, column in scorings})
    level = threshold(false_alarm_nights, len(scorings))
    stays = lasting_seed_variance(columns)
    commits = history.drop_duplicates("night").set_index("night")["commit"].sort_index()
    commits = commits.astype(object).where(commits.notna(), None)
    drifts: dict[tuple[str, ...], Drift] = {}
    for scoring, column in scorings:
        for drift in _drifts(scoring, column, level, stays, commits):
            key = (drift.variant, drift.backend, drift.measure, str(drift.score < 0))
            # Of two charts, the one that is still flagged counts, or was flagged first.
            drifts[key] = min(
                (drifts.get(key, drift), drift),
                key=lambda drift: (not drift.standing, drift.flagged[0]),
            )
    return DriftTest(
        drifts=tuple(drifts.values()),
        columns=columns,
        nights=max(len(column.nights) for _, column in scorings),
        threshold=level,
        false_alarm_nights=false_alarm_nights,
        with_baseline=baseline is not None,
        without_values=older,
    )


def _of_many_seeds(history: pd.DataFrame) -> set[Configuration]:
    """Return the configurations with at least ``LEAST_SHARE`` of the seeds of their variant's."""
    seeds = history.groupby(["variant", "backend"])["seeds"].median()
    most = seeds.groupby("variant").transform("max")
    return {(str(v), str(b)) for v, b in seeds.index[seeds >= LEAST_SHARE * most]}


def _drifts(
    scoring: Scoring, column: Column, level: float, stays: float, commits: pd.Series[str]
) -> list[Drift]:
    """Return the drifts of a column, at most one in each direction; ``scoring`` made it."""
    alarms = _flagged(column, level, stays)
    if not any(map(len, alarms)):
        return []
    column = scoring(int(min(flagged[0] for flagged in alarms if len(flagged))))
    alarms = _flagged(column, level, stays)
    return [
        _drift(column, flagged, direction, commits)
        for flagged, direction in zip(alarms, (1, -1), strict=True)
        if len(flagged)
    ]


def _flagged(column: Column, level: float, stays: float) -> list[Numbers]:
    """Return the numbers of the nights on which the upper and the lower chart are flagged."""
    reference_values = REFERENCE_VALUE + stays * np.sqrt(column.stays)
    charts = cusum(column.scores, reference_values, highest=level + BEYOND)
    return [np.flatnonzero(chart >= level) for chart in charts]


def _drift(column: Column, flagged: Numbers, direction: int, commits: pd.Series[str]) -> Drift:
    """Date a drift up (1) or down (-1), by the nights up to its alarm: later ones may move on."""
    end = int(flagged[0]) + 1
    moved, weights = (column.means - column.reference_means)[:end], column.seeds[:end]
    before = int(column.reference_seeds > 0)
    if before:
        moved, weights = np.append(0, moved), np.append(column.reference_seeds, weights)
    since = change_point(moved, weights, direction) - before
    span = slice(since, int(flagged[-1]) + 1)
    mean = float(np.average(column.means[span], weights=column.seeds[span]))
    if before:
        expected = np.average(column.reference_means[span], weights=column.seeds[span])
    else:
        mean, expected = math.exp(mean), np.exp(column.means[:since].mean())
    upto = commits[: column.nights[since]].tolist()
    return Drift(
        *column.configuration,
        measure=column.measure,
        since=column.nights[since],
        flagged=tuple(column.nights[night] for night in flagged),
        standing=bool(flagged[-1] == len(column.nights) - 1),
        mean=mean,
        reference_mean=float(expected),
        score=float(column.scores[span].mean()),
        commit=upto[-1],
        commit_before=upto[-2] if len(upto) > 1 else None,
    )
