"""Apache Otava's E-Divisive on many histories, night by night, as each night saw them.

Otava is called where its first pass finds a candidate. That pass is computed here for all histories
and nights at once: the statistic of a split does not depend on later nights.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from otava.analysis import compute_change_points
from scipy.stats import ttest_ind_from_stats

FIRST = 10
"""The nights before the first test."""
WINDOW, STEP = 50, 25
"""Otava's defaults: the length of its windows, and from one to the next."""

Array = npt.NDArray[np.float64]


def energies(values: Array) -> Array:
    """Return E-Divisive's Q of every (split, end), shape (..., nights, nights); -inf outside."""
    nights = values.shape[-1]
    distances = np.abs(values[..., :, None] - values[..., None, :])
    sums = np.zeros((*values.shape[:-1], nights + 1, nights + 1))
    sums[..., 1:, 1:] = distances.cumsum(axis=-1).cumsum(axis=-2)
    before, end = np.arange(1, nights + 1)[:, None], np.arange(1, nights + 1)[None, :]
    after = end - before
    own = np.diagonal(sums, axis1=-2, axis2=-1)[..., 1:]
    left, both = own[..., :, None], sums[..., 1:, 1:]
    within = (left / 2) * after / np.maximum(before - 1, 1)
    right = (own[..., None, :] - 2 * both + left) / 2 * before / np.maximum(after - 1, 1)
    found = 2 / end * (both - left - within - right)
    return np.where(after > 0, found, -np.inf)


def p_values(values: Array, split: npt.NDArray[np.int64]) -> Array:
    """Return Otava's p-value of a split at each end, from cumulative sums; shapes (..., nights)."""
    zero = np.zeros((*values.shape[:-1], 1))
    sums, squares = (
        np.concatenate([zero, np.cumsum(part, axis=-1)], axis=-1) for part in (values, values**2)
    )
    end = np.broadcast_to(np.arange(1, values.shape[-1] + 1), split.shape)
    parts = []
    for low, high in ((np.zeros_like(split), split), (split, end)):
        size = np.maximum(high - low, 1)
        mean, square = (
            (np.take_along_axis(c, high, -1) - np.take_along_axis(c, low, -1)) / size
            for c in (sums, squares)
        )
        parts += [mean, np.sqrt(np.maximum(square - mean**2, 1e-18)), size]
    p = np.asarray(ttest_ind_from_stats(*parts).pvalue)
    return np.where((end > 2) & (split < end), p, 1.0)


def first_pass(values: Array) -> Array:
    """Return the smallest p-value of a candidate in Otava's windows by night, as ``values``."""
    count, nights = values.shape
    smallest = np.ones((count, nights))
    for start in range(0, nights, STEP):
        window = values[:, start : start + WINDOW]
        for rows in np.array_split(np.arange(count), max(1, count // 250)):
            found = energies(window[rows])
            split = found.argmax(axis=-2) + 1
            largest = found.max(axis=-2)
            # Q does not depend on later nights: the candidate is the running maximum over ends.
            leads = largest >= np.maximum.accumulate(largest, axis=-1)
            place = np.maximum.accumulate(np.where(leads, np.arange(window.shape[1]), 0), axis=-1)
            p = p_values(window[rows], np.take_along_axis(split, place, -1))
            span = slice(start, start + window.shape[1])
            smallest[rows, span] = np.minimum(smallest[rows, span], p)
            after = slice(start + window.shape[1], nights)
            smallest[rows, after] = np.minimum(smallest[rows, after], p[:, -1:])
    return smallest


def otava_alarms(values: Array, smallest: Array, level: float) -> npt.NDArray[np.int64]:
    """Return the night of each history's first alarm and the night named; -1 for none.

    ``smallest`` is what ``first_pass`` returns.
    """
    possible = smallest <= 10 * level
    possible[:, :FIRST] = False
    alarms = np.full((2, len(values)), -1)
    for number, history in enumerate(values):
        for night in np.flatnonzero(possible[number]):
            found, _ = compute_change_points(history[: night + 1].tolist(), WINDOW, level)
            if found:
                alarms[:, number] = night, found[-1].index
                break
    return alarms


def calibrated_level(values: Array, share: float, tried: int) -> float:
    """Return the level at which this share of the histories has an alarm, or fewer."""
    low, high, smallest = 1e-60, 1e-3, first_pass(values)
    for _ in range(tried):
        middle = math.sqrt(low * high)
        alarms = otava_alarms(values, smallest, middle)[0] >= 0
        low, high = (middle, high) if alarms.mean() <= share else (low, middle)
    return low
