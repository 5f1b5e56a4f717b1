"""CUSUM charts of standardised values, and the threshold for a given rate of false alarms.

Two one-sided charts (Page 1954, *Biometrika* 41:100): S = max(0, S + value - reference value), and
the same for the negated values. A chart raises an alarm when S reaches the threshold h.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

REFERENCE_VALUE = 0.5
"""Half the shift to be detected, in standard deviations of a value."""
PATHS = 30_000
"""Simulated paths per threshold; they determine it to about 0.01."""
LEAST_TAIL = 1e-300

Array = npt.NDArray[np.float64]


def cusum(
    values: Array, reference_value: float | Array = REFERENCE_VALUE, highest: float = math.inf
) -> tuple[Array, Array]:
    """Return the upper and the lower chart of Page's CUSUM, each in the shape of ``values``.

    ``values`` has shape (nights, ...) and is standardised; ``reference_value`` broadcasts to it.
    upper[i] = max(0, upper[i - 1] + values[i] - reference_value[i]), cut off at ``highest``, and
    lower is the same for -values.
    """

    def chart(steps: Array) -> Array:
        sums = np.zeros_like(steps)
        last = np.zeros(steps.shape[1:])
        for night, step in enumerate(steps):
            sums[night] = last = np.clip(last + step, 0, highest)
        return sums

    return chart(values - reference_value), chart(-values - reference_value)


@lru_cache(maxsize=256)
def threshold(nights: int, columns: int) -> float:
    """Return h at which the charts of all columns raise one false alarm in ``nights`` on average.

    ``nights`` is the in-control average run length of the whole grid of independent normal columns;
    dependent columns raise fewer alarms. The rates of the 2 x columns one-sided charts add up:
    exactly for the two of a column (Kemp 1961, *JRSS B* 23:149), and across columns because long
    run lengths are close to geometric. The run length of one chart is Page's E[length of a path] /
    P[it ends at h], where a path is the sum from 0 until it returns to 0 or reaches h. Both are
    simulated; the rare end at h with the drift reversed and weighted by the likelihood ratio
    exp(-2 k S) (Siegmund 1985, *Sequential Analysis*). The seed is fixed, so that h is too.

    Raises ValueError for fewer than two nights or no columns.
    """
    if nights < 2 or columns < 1:
        raise ValueError(f"need at least 2 nights and 1 column, not {nights} and {columns}")
    target = 2 * columns * nights
    highest = math.log(target) / (2 * REFERENCE_VALUE) + 3
    noise = np.random.default_rng(0).standard_normal((PATHS, 64 + math.ceil(8 * highest)))
    null, reversed_drift = (
        np.cumsum(noise + drift, axis=1) for drift in (-REFERENCE_VALUE, REFERENCE_VALUE)
    )

    def excess(level: float) -> float:
        length = _exits(null, level)[0].mean()
        ends = _exits(reversed_drift, level)[1]
        reached = np.where(ends >= level, np.exp(-2 * REFERENCE_VALUE * ends), 0).mean()
        return float(math.log(length / reached / target))

    from scipy.optimize import brentq  # slow to import

    return float(brentq(excess, 1e-3, highest, xtol=1e-3))


def _exits(paths: Array, level: float) -> tuple[npt.NDArray[np.int64], Array]:
    """Return after how many steps each path leaves (0, level), and its value there."""
    steps = ((paths <= 0) | (paths >= level)).argmax(axis=1)
    return steps + 1, paths[np.arange(len(paths)), steps]


def standardise(means: Array, deviations: Array, seeds: Array, reference_mean: float) -> Array:
    """Return how many standard errors each night's mean is from the reference, as a normal value.

    All have shape (nights,); deviations are positive and ``seeds`` n at least 2. A t statistic with
    n - 1 degrees of freedom becomes the normal value with the same tail probability.
    """
    statistics = (means - reference_mean) / (deviations / np.sqrt(seeds))
    tails = stdtr(seeds - 1, -np.abs(statistics))
    return np.asarray(np.sign(statistics) * -ndtri(np.maximum(tails, LEAST_TAIL)))
