"""Drifts that no single night can show: CUSUM charts over the grid, and since when.

Each night's final values of a configuration and measure are ranked among a baseline's and those of
the nights before: ``reports.statistics.cusum.rank_score`` is Wilcoxon's, which is valid for any
distribution. Throughput is one ratio per night, ranked among those of earlier nights. Two one-sided
charts sum the scores over the nights. After an alarm the reference no longer grows, so that a drift
does not become normal.

Fresh seeds have independent scores. Part of the seed variance of others does not average out over
nights: that of seeds which several nights share. A larger reference value accounts for it: 1/2 + z
times the deviation that stays. With 95% confidence, no configuration and measure exceeds z; false
alarms are then as rare as stated, or rarer. A drift within that seed variance is not detected.

The usual night repeats seeds of its baseline. They are compared in pairs, whose seed variance
cancels. Where they differ by rounding, the scores are near 0. Single nights of such seeds are held
against their references to rounding elsewhere (``reports.verdict.same_computation``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from bench.plan.grid import reference_backend
from hnrnn.variants import VARIANTS
from reports.history.nights import FINAL_VALUES, MEASURED, values_of
from reports.runs.night import Configuration, configurations_of, is_in
from reports.statistics.change_point import change_point
from reports.statistics.cusum import (
    REFERENCE_VALUE,
    cusum,
    rank_score,
    sequential_scores,
    threshold,
)
from reports.verdict.grid_test import MEASURES

FALSE_ALARM_NIGHTS = 1095
"""Three years from one false alarm to the next over the whole grid, on average."""
FIRST_NIGHTS = 10
"""Without a baseline, the first nights are the reference for those after them; so they always are
for throughput."""
THROUGHPUT = "throughput_ratio"
LARGER_IS_BETTER = {**MEASURES, THROUGHPUT: True}
"""The measures that are charted, and whether larger is better."""
DAY_EFFECTS = 1.2
"""How much wider sums of throughput's scores are for day effects, such as a busy machine: the root
of 1.4, for a correlation of 0.1 from one night to the next that halves with every further one."""
CONFIDENCE = 0.95
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
    reference_seeds: float
    """The weight of the reference; 0 if it is among the nights."""
    seeds: Array
    """The weight of each night."""
    means: Array
    reference_means: Array
    scores: Array
    stays: Array
    """The part of each score's variance that does not average out."""


Chart = Callable[[int | None], _Column]
"""Scores a column's nights; from the given number on, nights no longer join the reference."""


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
        (chart, chart(None))
        for configuration in sorted(configurations_of(history))
        for chart in _columns(history, known, configuration) + _throughput(history, configuration)
    ]
    trained = history[history["seeds"] > 0]
    older = trained.loc[trained[FINAL_VALUES].isna(), "night"].nunique()
    if not columns:
        return DriftTest((), 0, 0, math.nan, false_alarm_nights, baseline is not None, older)
    level = threshold(false_alarm_nights, len(columns))
    stays = lasting_seed_variance(len(columns))
    commits = history.drop_duplicates("night").set_index("night")["commit"].sort_index()
    commits = commits.astype(object).where(commits.notna(), None)
    drifts = tuple(drift for column in columns for drift in _drifts(*column, level, stays, commits))
    return DriftTest(
        drifts=drifts,
        columns=len(columns),
        nights=max(len(column.nights) for _, column in columns),
        threshold=level,
        false_alarm_nights=false_alarm_nights,
        with_baseline=baseline is not None,
        without_values=older,
    )


def _columns(
    history: pd.DataFrame, baseline: pd.DataFrame, configuration: Configuration
) -> list[Chart]:
    """Return the charts of a configuration's final values; none without a tested night."""
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
        partial(_column, configuration, measure, tuple(tested["night"]), nights, drawn)
        for measure in MEASURES
    ]


def _throughput(history: pd.DataFrame, configuration: Configuration) -> list[Chart]:
    """Return the chart of a configuration's throughput, if it has been timed on enough nights.

    Only nights on the device of its last timed night count.
    """
    variant, backend = configuration
    rows = history[is_in(history, [configuration]) & (history[THROUGHPUT] > 0)].sort_values("night")
    rows = rows[rows["device_name"].fillna("") == rows["device_name"].fillna("").iloc[-1:].max()]
    if len(rows) <= FIRST_NIGHTS or backend == reference_backend(VARIANTS[variant]):
        return []
    logs = np.log(rows[THROUGHPUT].to_numpy(dtype=np.float64))

    def chart(until: int | None) -> _Column:
        scores = sequential_scores(logs, FIRST_NIGHTS, until) / DAY_EFFECTS
        nights, none = tuple(rows["night"]), np.zeros(len(logs))
        return _Column(configuration, THROUGHPUT, nights, 0, none + 1, logs, none, scores, none)

    return [chart]


def _column(
    configuration: Configuration,
    measure: str,
    nights: tuple[pd.Timestamp, ...],
    values: Sequence[Array],
    drawn: Array,
    until: int | None,
) -> _Column:
    """Score the nights of a measure; ``values`` and ``drawn`` are as ``values_of`` returns them."""
    place = 1 + MEASURED.index(measure)
    baseline = dict(zip(drawn[:, 0].tolist(), drawn[:, place].tolist(), strict=True))
    reference = drawn[:, place]
    earlier: set[float] = set()
    found = []
    for number, night in enumerate(values):
        names, own = night[:, 0].tolist(), night[:, place]
        pairs = np.array([baseline.get(seed, np.nan) for seed in names])
        again = np.array([seed in earlier for seed in names])
        score = rank_score(own, reference, pairs, again)
        expected = np.where(np.isnan(pairs), drawn[:, place].mean(), pairs).mean()
        found.append((len(names), own.mean(), expected, *score))
        earlier.update(names)
        if until is None or number < until:
            reference = np.concatenate([reference, own[np.isnan(pairs) & ~again]])
            reference.sort(kind="stable")
    return _Column(configuration, measure, nights, len(drawn), *np.array(found).T)


def _drifts(
    chart: Chart, column: _Column, level: float, stays: float, commits: pd.Series[str]
) -> list[Drift]:
    """Return the drifts of a column, at most one in each direction; ``chart`` made the column."""
    alarms = _flagged(column, level, stays)
    if not any(map(len, alarms)):
        return []
    column = chart(int(min(flagged[0] for flagged in alarms if len(flagged))))
    alarms = _flagged(column, level, stays)
    return [
        _drift(column, flagged, direction, commits)
        for flagged, direction in zip(alarms, (1, -1), strict=True)
        if len(flagged)
    ]


def _flagged(column: _Column, level: float, stays: float) -> list[Numbers]:
    """Return the numbers of the nights on which the upper and the lower chart are flagged."""
    reference_values = REFERENCE_VALUE + stays * np.sqrt(column.stays)
    charts = cusum(column.scores, reference_values, highest=level + BEYOND)
    return [np.flatnonzero(chart >= level) for chart in charts]


def _drift(column: _Column, flagged: Numbers, direction: int, commits: pd.Series[str]) -> Drift:
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
