"""The columns of the history that are charted: the scores of a configuration and measure by night.

A configuration's final values have two charts each. One holds every night against the baseline
alone. The other ranks it among the seeds of all earlier nights too: it sees a change after a calm
time much earlier, and one right after the baseline later. Throughput is one ratio per night, ranked
among those of earlier nights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.plan.grid import reference_backend
from hnrnn.variants import VARIANTS
from reports.history.nights import FINAL_VALUES, MEASURED, values_of
from reports.runs.night import Configuration, is_in
from reports.statistics.cusum import rank_score, sequential_scores
from reports.verdict.grid_test import MEASURES

FIRST_NIGHTS = 10
"""Without a baseline, the first nights are the reference for those after them; so they always are
for throughput."""
THROUGHPUT = "throughput_ratio"
DAY_EFFECTS = 1.2
"""How much wider sums of throughput's scores are for day effects, such as a busy machine: the root
of 1.4, for a correlation of 0.1 from one night to the next that halves with every further one."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Column:
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


Scoring = Callable[[int | None], Column]
"""Scores a column's nights; from the given number on, nights no longer join the reference."""


def scorings_of(
    history: pd.DataFrame, baseline: pd.DataFrame, configuration: Configuration
) -> list[Scoring]:
    """Return the scorings of a configuration: two for each measure, and one for throughput.

    There are none without a tested night.
    """
    rows = history[is_in(history, [configuration])].sort_values("night")
    return _of_values(rows, baseline, configuration) + _of_throughput(rows, configuration)


def _of_values(
    rows: pd.DataFrame, baseline: pd.DataFrame, configuration: Configuration
) -> list[Scoring]:
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
        partial(_score, configuration, measure, tuple(tested["night"]), nights, drawn, growing)
        for measure in MEASURES
        for growing in (False, True)
    ]


def _of_throughput(rows: pd.DataFrame, configuration: Configuration) -> list[Scoring]:
    """Only nights on the device of the last timed night count."""
    variant, backend = configuration
    rows = rows[rows[THROUGHPUT] > 0]
    rows = rows[rows["device_name"].fillna("") == rows["device_name"].fillna("").iloc[-1:].max()]
    if len(rows) <= FIRST_NIGHTS or backend == reference_backend(VARIANTS[variant]):
        return []
    logs = np.log(rows[THROUGHPUT].to_numpy(dtype=np.float64))

    def score(until: int | None) -> Column:
        scores = sequential_scores(logs, FIRST_NIGHTS, until) / DAY_EFFECTS
        nights, none = tuple(rows["night"]), np.zeros(len(logs))
        return Column(configuration, THROUGHPUT, nights, 0, none + 1, logs, none, scores, none)

    return [score]


def _score(
    configuration: Configuration,
    measure: str,
    nights: tuple[pd.Timestamp, ...],
    values: Sequence[Array],
    drawn: Array,
    growing: bool,  # noqa: FBT001  # of a partial
    until: int | None,
) -> Column:
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
        score = rank_score(own, reference, pairs, again, growing=growing)
        expected = np.where(np.isnan(pairs), drawn[:, place].mean(), pairs).mean()
        found.append((len(names), own.mean(), expected, *score))
        earlier.update(names)
        if growing and (until is None or number < until):
            reference = np.concatenate([reference, own[np.isnan(pairs) & ~again]])
            reference.sort(kind="stable")
    return Column(configuration, measure, nights, len(drawn), *np.array(found).T)
