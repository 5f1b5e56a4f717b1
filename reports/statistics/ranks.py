"""Exact rank tests of one value among many, and corrections for several tests at once."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, betaln, chdtrc


def nan_as_largest(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return ``values`` as float64 with NaN, from a diverged run, replaced by infinity."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(array), np.inf, array)


def midranks(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return each column's ranks from 1, in the same shape (n, d); ties share their mean rank.

    NaN has the rank NaN and does not count for others. (As ``scipy.stats.rankdata`` does, which
    takes longer to import than most checks to run.)
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

    ``sample`` has shape (N,). If ``value`` is exchangeable with it, its rank among the N + 1 is
    uniform, whatever the distribution. A tail is the share of the N + 1 values at least as far out;
    p is twice the smaller tail, at most 1. Ties make p conservative. NaN counts as larger than any
    number. (The two-sided conformal p-value of Vovk, Gammerman and Shafer 2005, *Algorithmic
    Learning in a Random World*.)

    Raises ValueError for a sample that is not one column.
    """
    value, sample = nan_as_largest(value).item(), nan_as_largest(sample)
    if sample.ndim != 1:
        raise ValueError(f"sample must be one column of values, not of the shape {sample.shape}")
    at_most = 1 + np.count_nonzero(sample <= value)
    at_least = 1 + np.count_nonzero(sample >= value)
    return float(min(1.0, 2 * min(at_most, at_least) / (sample.size + 1)))


def smallest_rank_p_value(seeds: int) -> float:
    """Return the smallest ``rank_p_value`` that a sample of ``seeds`` values can give."""
    return min(1.0, 2 / (seeds + 1))


def holm(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the p-values, shape (k,), adjusted for their number, in the same order.

    Rejecting the adjusted values up to ``level`` makes any false rejection at most ``level``
    likely, under any dependence (Holm 1979, *Scandinavian Journal of Statistics* 6:65). NaN, for a
    test that was not made, stays NaN and does not count.

    Raises ValueError for anything but one column of values from 0 to 1.
    """
    p_values = _p_values(p_values)
    adjusted = np.full(p_values.shape, np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]
    still_to_test = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(still_to_test * p_values[order]))
    return adjusted


def joint_p_value(p_values: npt.ArrayLike) -> float:
    """Return Fisher's p-value of "all of these hypotheses are true"; NaN if there is none.

    NaN values are left out. The tests must be independent: of values from different runs, against
    samples that share no seeds or are so large that their seed variance is negligible. For discrete
    p-values the result is conservative. (Fisher 1932, *Statistical Methods for Research Workers*,
    4th edition, section 21.1.)

    Raises ValueError for anything but one column of values from 0 to 1.
    """
    p_values = _p_values(p_values)
    tested = p_values[~np.isnan(p_values)]
    if not len(tested):
        return np.nan
    with np.errstate(divide="ignore"):  # a p-value of 0 makes the joint one 0
        return float(chdtrc(2 * len(tested), -2 * np.log(tested).sum()))


def _p_values(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    p_values = np.asarray(values, dtype=np.float64)
    if p_values.ndim != 1 or ((p_values < 0) | (p_values > 1)).any():
        raise ValueError("p-values must be one column of numbers from 0 to 1, or NaN")
    return p_values


def check_level(level: float) -> None:
    """Raise ValueError if ``level`` is not between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def seeds_needed(tests: int, level: float, smallest: Callable[[int], float]) -> int:
    """Return how many seeds are needed for any of ``tests`` tests to be able to reject.

    ``smallest`` returns a test's smallest p-value for a number of seeds, as
    ``smallest_rank_p_value`` does. Adjusted by Holm or Bonferroni, it must be at most ``level``.
    Raises ValueError if ``level`` is not between 0 and 1.
    """
    check_level(level)
    return bisect.bisect_left(
        range(sys.maxsize), -level, key=lambda seeds: -tests * smallest(seeds)
    )


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact confidence interval of a probability, from ``successes`` in ``trials``.

    Each bound errs with probability at most (1 - ``level``) / 2. Without trials the interval is
    (0, 1). (Clopper and Pearson 1934, *Biometrika* 26:404.)

    Raises ValueError for successes that are not from 0 to ``trials``, and for a ``level`` that is
    not between 0 and 1.
    """
    check_level(level)
    _check_counts(successes, trials)
    beyond, failures = (1 - level) / 2, trials - successes
    low = betaincinv(successes, failures + 1, beyond) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - beyond) if failures else 1.0
    return float(low), float(high)


def _check_counts(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be from 0 to {trials}, not {successes}")


def same_rate_p_value(successes: int, trials: int, others: int, other_trials: int) -> float:
    """Return the exact two-sided p-value of "both samples have the same rate of successes".

    ``others`` counts the successes in ``other_trials``. The uncertainty of both rates counts. Given
    the sum of the successes, p is the probability of all splits that are at most as probable as
    this one. (Fisher's exact test; 1934, *Statistical Methods for Research Workers*, 5th edition.)

    Raises ValueError for successes that are not from 0 to the number of trials.
    """
    _check_counts(successes, trials)
    _check_counts(others, other_trials)
    if trials > other_trials:
        successes, trials, others, other_trials = others, other_trials, successes, trials
    total = successes + others
    splits = np.arange(max(0, total - other_trials), min(total, trials) + 1)
    logarithms = -betaln(splits + 1, trials - splits + 1)
    logarithms -= betaln(total - splits + 1, other_trials - total + splits + 1)
    probabilities = np.exp(logarithms - logarithms.max())
    # Equal probabilities may differ by rounding.
    own = probabilities[successes - splits[0]] * (1 + 1e-7)
    return float(probabilities[probabilities <= own].sum() / probabilities.sum())
