"""CUSUM charts of standardised values, and the threshold for a given rate of false alarms.

Two one-sided charts (Page 1954, *Biometrika* 41:100): S = max(0, S + value - reference value), and
the same of the negative values. An alarm is S at the threshold h or above.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtr

REFERENCE_VALUE = 0.5
"""Half the shift that is looked for, in standard deviations of a value."""
PATHS = 30_000
"""Simulated paths a threshold, which is then known to about 0.01."""
LEAST_TAIL = 1e-300

Array = npt.NDArray[np.float64]


def cusum(
    values: Array, reference_value: float | Array = REFERENCE_VALUE, highest: float = math.inf
) -> tuple[Array, Array]:
    """Return the upper and the lower chart of Page's CUSUM, both from 0 upwards.

    ``values`` has shape (nights, ...), standardised; ``reference_value`` is one, or one a night,
    and broadcasts to that shape. upper[i] = max(0, upper[i - 1] + values[i] - reference_value[i]),
    and lower is upper of -values. Neither rises above ``highest``.
    """

    def chart(steps: Array) -> Array:
        sums = np.zeros_like(steps)
        last = np.zeros(steps.shape[1:])
        for night, step in enumerate(steps):
            last = np.minimum(np.maximum(last + step, 0), highest)
            sums[night] = last
        return sums

    return chart(values - reference_value), chart(-values - reference_value)


@lru_cache(maxsize=256)
def threshold(nights: int, columns: int) -> float:
    """Return h at which the two-sided charts of all columns alarm falsely once in so many nights.

    ``nights`` is the average run length in control of the whole grid, of independent normal
    columns; dependent ones alarm less often. Rates of the 2 x columns one-sided charts add up: for
    the two of a column exactly (Kemp 1961, *JRSS B* 23:149), for columns since long run lengths are
    close to geometric. That of one chart is Page's E[length of a path] / P[it ends at h], a path
    being the sum from 0 until it is at 0 or at h. Both are simulated, the rare end at h with the
    drift turned round and weighted by the likelihood ratio exp(-2 k S) (Siegmund 1985, *Sequential
    Analysis*). The same seed gives the same h.

    Raises ValueError for fewer than two nights or no columns.
    """
    if nights < 2 or columns < 1:
        raise ValueError(f"nights must be 2 or more and columns 1, not {nights} and {columns}")
    target = 2 * columns * nights
    highest = math.log(target) / (2 * REFERENCE_VALUE) + 3
    steps = 64 + math.ceil(8 * highest)
    noise = np.random.default_rng(0).standard_normal((PATHS, steps))
    null, turned = (
        np.cumsum(noise + drift, axis=1) for drift in (-REFERENCE_VALUE, REFERENCE_VALUE)
    )

    def excess(level: float) -> float:
        length = _exits(null, level)[0].mean()
        ends = _exits(turned, level)[1]
        reached = np.where(ends >= level, np.exp(-2 * REFERENCE_VALUE * ends), 0).mean()
        return float(math.log(length / reached / target))

    from scipy.optimize import brentq  # takes long to import

    return float(brentq(excess, 1e-3, highest, xtol=1e-3))


def _exits(paths: Array, level: float) -> tuple[npt.NDArray[np.int64], Array]:
    """Return after how many steps each path leaves (0, level), and where it then is."""
    steps = ((paths <= 0) | (paths >= level)).argmax(axis=1)
    return steps + 1, paths[np.arange(len(paths)), steps]


def standardise(means: Array, deviations: Array, seeds: Array, reference_mean: float) -> Array:
    """Return each night's mean as a normal value, in standard errors from the reference.

    All have shape (nights,), the deviations being above 0 and the seeds n from 2. The t statistic
    of n - 1 degrees of freedom is turned into the normal value of the same tail.
    """
    statistics = (means - reference_mean) / (deviations / np.sqrt(seeds))
    tails = stdtr(seeds - 1, -np.abs(statistics))
    return np.asarray(np.sign(statistics) * -ndtri(np.maximum(tails, LEAST_TAIL)))
