"""How large a difference of two means is: an estimate with its confidence interval.

Derrick, Toher and White (2017), "Test statistics for the comparison of means for two samples that
include both paired and independent observations", *Journal of Modern Applied Statistical Methods*
16:137-157, their T_new2. Without pairs it is Welch's interval, with nothing but pairs Student's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from reports.statistics.ranks import check_level


class Interval(NamedTuple):
    """A difference of means, and the bounds of its confidence interval, in the values' unit."""

    difference: float
    low: float
    high: float


def difference_interval(
    night: npt.ArrayLike, baseline: npt.ArrayLike, *, level: float = 0.95, paired: bool = False
) -> Interval:
    """Return the mean of ``night`` less that of ``baseline``, with an interval of it.

    ``night`` has shape (n,), ``baseline`` (m,): one value per seed. NaN is a missing run. With
    ``paired``, the value i of both is the same seed (n = m); a seed that one side lacks is NaN
    there, and counts as independent. The interval contains the true difference with probability
    ``level`` if the means are close to normal, as they are for 20 seeds or more unless the values
    are very skewed. It bounds a difference of means, while ``max_t_test`` tests ranks: with few or
    skewed values, one may see what the other does not.

    For k differences that shall hold together, pass 1 - (1 - ``level``) / k (Bonferroni). Bounds
    are NaN where a value is infinite, or where the seeds are too few to know their variance: at
    least two pairs, or two on each side.

    Raises ValueError for a ``level`` that is not between 0 and 1, for values that are not one
    column, and for columns of different lengths that are said to be pairs.
    """
    check_level(level)
    after, before = (np.asarray(values, dtype=np.float64) for values in (night, baseline))
    if after.ndim != 1 or before.ndim != 1:
        raise ValueError(f"values must be one column, not of shapes {after.shape}, {before.shape}")
    if paired and len(after) != len(before):
        raise ValueError(f"{len(after)} values cannot be paired with {len(before)}")
    both = ~np.isnan(after) & ~np.isnan(before) if paired else np.zeros(0, dtype=bool)
    pairs = (after[both], before[both]) if paired else (after[:0], before[:0])
    after, before = (values[~np.isnan(values)] for values in (after, before))
    n, m, c = len(after), len(before), len(pairs[0])
    if min(n, m) < 2 or not np.isfinite([*after, *before]).all():
        finite = min(n, m) > 0 and np.isfinite([*after, *before]).all()
        return Interval(float(after.mean() - before.mean()) if finite else np.nan, np.nan, np.nan)
    shares = float(after.var(ddof=1)) / n, float(before.var(ddof=1)) / m
    covariance = float(np.cov(*pairs)[0, 1]) if c > 1 else 0.0
    variance = max(sum(shares) - 2 * covariance * c / (n * m), 0.0)
    if n == m == c:  # the same, without the rounding of large terms that cancel
        variance = float((pairs[0] - pairs[1]).var(ddof=1)) / c
    squares = shares[0] ** 2 / (n - 1) + shares[1] ** 2 / (m - 1)
    welch = sum(shares) ** 2 / squares if squares else float(n + m - 2)
    alone = n + m - 2 * c
    freedom = c - 1 + (welch - c + 1) * alone / (n + m) if c else welch
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    difference = float(after.mean() - before.mean())
    return Interval(difference, difference - half, difference + half)
