"""CUSUM charts of rank scores, and the threshold for a given rate of false alarms.

Two one-sided charts (Page 1954, *Biometrika* 41:100): S = max(0, S + score - reference value), and
the same for the negated scores. A chart raises an alarm when S reaches the threshold h.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

REFERENCE_VALUE = 0.5
"""Half the shift to be detected, in standard deviations of a value."""
PATHS = 30_000
"""Simulated paths per threshold; they determine it to about 0.01."""
LEAST_PAIRS = 2
"""Pairs that it takes to know how much their differences vary."""

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


def placements(values: Array, baseline: Array) -> Array:
    """Return which share of ``baseline``, shape (m,), is below each value; ties count half."""
    ordered = np.sort(baseline, kind="stable")  # quick where much of it is sorted already
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((below + up_to) / (2 * len(ordered)))


def rank_score(
    values: Array,
    reference: Array,
    own: Array,
    again: npt.NDArray[np.bool_],
    *,
    growing: bool = False,
) -> tuple[float, float]:
    """Return a night's Wilcoxon score against a reference, and the part of its variance that stays.

    ``values`` has shape (n,), ``reference`` (m,): the baseline's values and, if it is ``growing``,
    those of the fresh seeds of all earlier nights. ``own`` has the baseline's value of the same
    seed, NaN where it has none; ``again`` says which seeds an earlier night has had. The score is
    the sum of placements less 1/2, or less the placement of the seed's own value in the reference,
    over sqrt(n (m + 1) / (12 m)).

    While nothing changes, and whatever the distribution, a night of fresh seeds has a variance of 1
    about a level that stays: the baseline is one draw, and the levels that baselines give have the
    variance n / (m + 1). Against a growing reference the level does not stay: the rank of a value
    among all before it says nothing of their ranks. There f fresh seeds have m + f + 1 in place of
    m + 1, and independent scores of variance 1. A score is at most sqrt(3 n), so that few seeds
    have a lighter tail than the normal. Seeds that are run again keep their placements, which adds
    their share of 1. Those that the baseline has cancel, but for the variance of their differences.
    """
    n, m = len(values), len(reference)
    pairs = np.isfinite(own)
    pairs &= pairs.sum() >= LEAST_PAIRS
    repeated = ~pairs & (again | np.isfinite(own))
    fresh = int((~pairs & ~repeated).sum()) if growing else 0
    expected = np.where(pairs, placements(own, reference), 0.5)
    differences = placements(values, reference) - expected
    unit = n * (m + fresh + 1) / (12 * m)
    stays = repeated.sum() / n + (n - pairs.sum() - fresh) ** 2 / (n * (m + 1))
    if pairs.any():
        stays += pairs.sum() * differences[pairs].var(ddof=1) / unit
    return float(differences.sum() / np.sqrt(unit)), float(stays)


def sequential_scores(values: Array, first: int, until: int | None = None) -> Array:
    """Return the normal scores of each value's rank among the values before it, shape (n,).

    While nothing changes, and whatever the distribution, the scores do not depend on one another;
    their mean is 0 and their variance just below 1 (McDonald 1990, *Naval Research Logistics*
    37:627). The ``first`` values have a score of 0. Values from ``until`` on are ranked among those
    before it only, so that a change does not become normal.
    """
    scores = np.zeros(len(values))
    for number in range(first, len(values)):
        earlier = values[: number if until is None else min(number, until)]
        place = float(placements(values[number : number + 1], earlier)[0]) * len(earlier)
        scores[number] = ndtri((place + 0.5) / (len(earlier) + 1))
    return scores
