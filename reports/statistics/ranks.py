"""Exact rank tests of one value among many, and what holds for several of them at once."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, chdtrc


def nan_as_largest(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return ``values`` as float64 with infinity for NaN: a diverged run exceeds any number."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(array), np.inf, array)


def midranks(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return each column's ranks from 1, ties sharing the mean of theirs, in the same shape (n, d).

    NaN has the rank NaN, and counts for no other. (``scipy.stats.rankdata`` does the same; to
    import it takes longer than most checks.)
    """
    values = np.asarray(values, dtype=np.float64)
    ranks = np.full(values.shape, np.nan)
    for column, own in zip(values.T, ranks.T, strict=True):
        ordered = np.sort(column)
        below, up_to = (np.searchsorted(ordered, column, side) for side in ("left", "right"))
        own[:] = np.where(np.isnan(column), np.nan, (below + up_to + 1) / 2)
    return ranks


def rank_p_value(value: float, sample: npt.ArrayLike) -> float:
    """Return the exact two-sided p-value of ``value`` as one more draw like those of ``sample``.

    ``sample`` has shape (N,). Were ``value`` exchangeable with it, its rank among the N + 1 would
    be uniform, whatever the distribution: each tail is the share of the N + 1 that lie at least as
    far out, and p is twice the smaller, at most 1. Ties make it larger, never too small. NaN
    counts as larger than any number. (The conformal p-value of Vovk, Gammerman and Shafer 2005,
    *Algorithmic Learning in a Random World*, taken on both sides.)
    """
    value, sample = nan_as_largest(value).item(), nan_as_largest(sample)
    at_most = 1 + np.count_nonzero(sample <= value)
    at_least = 1 + np.count_nonzero(sample >= value)
    return float(min(1.0, 2 * min(at_most, at_least) / (sample.size + 1)))


def smallest_rank_p_value(seeds: int) -> float:
    """Return the smallest ``rank_p_value`` that a sample of so many seeds can give."""
    return min(1.0, 2 / (seeds + 1))


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the p-values adjusted for their number, shape (k,), in the order they came in.

    To reject where the adjusted value is at most ``level`` errs once or more with probability
    ``level`` at most, under any dependence (Holm 1979, *Scandinavian Journal of Statistics* 6:65).
    NaN stands for a test that was not made: it stays NaN and is not counted.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p_values.shape, np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]
    still_to_test = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(still_to_test * p_values[order]))
    return adjusted


def joint_p_value(p_values: npt.ArrayLike) -> float:
    """Return Fisher's p-value of "all of these hypotheses are true"; NaN values are left out.

    It holds where the tests are independent: the values tested come from different runs, and the
    samples they are held against share no seeds, or are so large that their own seed variance is
    negligible. For discrete exact p-values, which tend to be larger than uniform ones, it is
    conservative. Without any p-value the result is NaN. (Fisher 1932, *Statistical Methods for
    Research Workers*, 4th edition, section 21.1.)
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    tested = p_values[~np.isnan(p_values)]
    if not len(tested):
        return np.nan
    return float(chdtrc(2 * len(tested), -2 * np.log(tested).sum()))


def seeds_needed(tests: int, level: float, smallest: Callable[[int], float]) -> int:
    """Return the least number of seeds from which ``tests`` tests together could reject at all.

    ``smallest`` gives the smallest p-value of one test by its number of seeds, such as
    ``smallest_rank_p_value``. After Holm's or Bonferroni's adjustment it has to be at most
    ``level``. Raises ``ValueError`` where ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, and is {level}")
    return bisect.bisect_left(
        range(sys.maxsize), -level, key=lambda seeds: -tests * smallest(seeds)
    )


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact confidence interval of a probability, from ``successes`` in ``trials``.

    ``level`` is the confidence, at least: each bound errs with (1 - level) / 2 at most. No trials
    say nothing: (0, 1). (Clopper and Pearson 1934, *Biometrika* 26:404.)
    """
    beyond, failures = (1 - level) / 2, trials - successes
    low = betaincinv(successes, failures + 1, beyond) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - beyond) if failures else 1.0
    return float(low), float(high)
