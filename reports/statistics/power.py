"""Planning: how many seeds a night needs to detect a fall of the mean, and what it can detect.

The test is ``permutation.max_t_test`` of independent seeds, at the level that
``tolerance.corrected_level`` allows. Its rank sum of a night whose values all fell by the same
amount counts as normal, with the mean and the variance that it has for values distributed like the
given ones, however skewed (Lehmann 1975, *Nonparametrics*, section 2.3).
"""

from __future__ import annotations

import bisect
import math

import numpy as np
import numpy.typing as npt
from scipy.special import comb, ndtr, ndtri, stdtrit

from reports.statistics.permutation import LEAST
from reports.statistics.ranks import check_level, midranks
from reports.statistics.tolerance import corrected_level

Array = npt.NDArray[np.float64]

MOST_SEEDS = 10**6
POWER = 0.9
"""The probability with which ``smallest_visible_drop`` is seen, unless another is asked for."""
POINTS = 512
"""Values by which a distribution is represented, or more."""
HALVINGS = 25


def seeds_for_drop(
    final_values: npt.ArrayLike,
    drop: float,
    *,
    level: float,
    power: float = POWER,
    baseline: int | None = None,
    columns: int = 1,
    confidence: float = 0.95,
    two_sided: bool = False,
) -> int | None:
    """Return how many seeds a night needs to detect a fall of the mean by ``drop``.

    ``final_values`` has shape (N,): one value per seed of healthy runs, in the unit of ``drop``.
    ``level`` is the false-alarm rate per night over all ``columns`` tested, kept for a share
    ``confidence`` of baselines. ``power`` is the probability of an alarm, averaged over baselines.
    ``baseline`` is the baseline's number of seeds, or None for as many as the night has. With
    ``two_sided`` a rise raises an alarm too. The result is None if a million seeds do not suffice:
    a small baseline limits a night of any size.

    Raises ValueError if ``drop`` is not positive, and as ``smallest_visible_drop`` does.
    """
    if not drop > 0:
        raise ValueError(f"drop must be positive, not {drop}")

    def is_visible(night: int) -> bool:
        visible = smallest_visible_drop(
            final_values,
            night=night,
            baseline=night if baseline is None else baseline,
            level=level,
            power=power,
            columns=columns,
            confidence=confidence,
            two_sided=two_sided,
        )
        return visible <= drop

    seeds = 1 + bisect.bisect_left(range(1, MOST_SEEDS + 1), x=1, key=is_visible)
    return seeds if seeds <= MOST_SEEDS else None


def smallest_visible_drop(
    final_values: npt.ArrayLike,
    *,
    night: int,
    baseline: int,
    level: float,
    power: float = POWER,
    columns: int = 1,
    confidence: float = 0.95,
    two_sided: bool = False,
) -> float:
    """Return the fall of the mean that is detected with probability ``power``, in the values' unit.

    The arguments are those of ``seeds_for_drop``; values that are not finite are ignored. Fewer
    than 512 values are smoothed by a normal kernel that keeps their mean and variance. The columns
    count as independent, which asks for a little more than a test of dependent ones does. The
    result is infinite if there are so few values that no permutation test could reject.

    Raises ValueError for anything but one column of two finite values or more, for a ``power``
    outside 0.5 to 1, and as ``corrected_level`` does.
    """
    values = np.asarray(final_values, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"final_values must be one column, not of the shape {values.shape}")
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        raise ValueError(f"a standard deviation needs two finite values or more, not {len(finite)}")
    check_power(power)
    sides = 2 if two_sided else 1
    columns *= sides
    corrected = corrected_level(
        level, night=night, baseline=baseline, columns=columns, confidence=confidence
    )
    if min(night, baseline) < LEAST or comb(night + baseline, night) * corrected < sides:
        return math.inf
    critical = _critical_value(night, baseline, -math.expm1(math.log1p(-corrected) / columns))
    smooth = _smoothed(finite)
    low, high = 0.0, float(smooth[-1] - smooth[0])
    for _ in range(HALVINGS if high else 0):
        middle = (low + high) / 2
        if _power(smooth, middle, night, baseline, critical) < power:
            low = middle
        else:
            high = middle
    return high


def smallest_visible_drop_of_pairs(
    night: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    level: float,
    power: float = POWER,
    columns: int = 1,
    two_sided: bool = False,
) -> float:
    """Return the fall of the mean that as many pairs as these detect with probability ``power``.

    ``night`` and ``baseline`` have shape (n,): values of the same n seeds. Pairs with a value that
    is not finite are ignored. The test is ``max_t_test`` with ``paired``, at the level that each of
    so many ``columns`` has by Bonferroni. Its power is that of a t statistic of the differences of
    midranks, for pairs like these whose mean difference is the fall. Few pairs know their own
    spread badly: in simulations, a power of 90% was 67 to 78% with 8 pairs, 81 to 91% with 20, and
    84 to 90% with 60. The result is infinite if there are so few pairs that no permutation test
    could reject.

    Raises ValueError for fewer than two finite pairs, for columns of different lengths, for no
    ``columns``, for a ``power`` outside 0.5 to 1, and for a ``level`` that is not between 0 and 1.
    """
    after, before = (np.asarray(values, dtype=np.float64) for values in (night, baseline))
    if after.ndim != 1 or after.shape != before.shape:
        raise ValueError(f"pairs need two equal columns, not shapes {after.shape}, {before.shape}")
    finite = np.isfinite(after) & np.isfinite(before)
    after, before = after[finite], before[finite]
    count = len(after)
    if count < 2:
        raise ValueError(f"a standard deviation needs two finite pairs or more, not {count}")
    if columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    check_power(power)
    check_level(level)
    sides = 2 if two_sided else 1
    if sides / 2**count > level:
        return math.inf
    critical = float(stdtrit(count - 1, 1 - level / (sides * columns)))
    # A t statistic varies more, the larger it is (Johnson and Welch 1940, Biometrika 31:362).
    needed = critical + float(ndtri(power)) * math.sqrt(1 + critical**2 / (2 * (count - 1)))
    alike = after - (after - before).mean()

    def is_visible(drop: float) -> bool:
        ranks = midranks(np.concatenate([alike - drop, before])[:, np.newaxis])[:, 0]
        differences = ranks[count:] - ranks[:count]
        error = differences.std(ddof=1) / math.sqrt(count)
        return bool(differences.mean() >= needed * error and differences.mean() > 0)

    low, high = 0.0, float(np.ptp(np.concatenate([alike, before])))
    for _ in range(HALVINGS if high else 0):
        middle = (low + high) / 2
        low, high = (low, middle) if is_visible(middle) else (middle, high)
    return high


def check_power(power: float) -> None:
    """Raise ValueError if ``power`` is not at least 0.5 and below 1."""
    if not 0.5 <= power < 1:
        raise ValueError(f"power must be at least 0.5 and below 1, not {power}")


def _critical_value(night: int, baseline: int, share: float) -> float:
    """Return the standardised rank sum that is exceeded with probability ``share``.

    The rank sum has lighter tails than the normal distribution. This is the Cornish-Fisher
    expansion with its kurtosis, limited to what is below the largest possible rank sum.
    """
    total, product = night + baseline, night * baseline
    kurtosis = -1.2 * (total**2 - product + total) / (product * (total + 1))
    normal = float(-ndtri(share))
    largest = math.sqrt(3 * product / (total + 1))
    return min(normal + kurtosis / 24 * (normal**3 - 3 * normal), largest * (1 - 1 / product))


def _smoothed(values: Array) -> Array:
    """Return ``POINTS`` values or more, in ascending order, of the same mean and variance."""
    count = len(values)
    copies = math.ceil(POINTS / count)
    deviation = values.std(ddof=1)
    kernel = ndtri((np.arange(copies) + 0.5) / copies)
    kernel *= 0.9 * count**-0.2 * deviation / (kernel.std() if copies > 1 else 1.0)
    spread = np.add.outer(values, kernel).reshape(-1)
    if deviation:
        spread = values.mean() + (spread - spread.mean()) * (deviation / spread.std())
    return np.sort(spread)


def _power(values: Array, drop: float, night: int, baseline: int, critical: float) -> float:
    """Return the probability that the standardised rank sum exceeds ``critical``.

    ``values`` are sorted. The night's are distributed like them, less ``drop``. A share ``above``
    of the baseline's values is larger than a value of the night, and of the night's values a share
    ``below`` is smaller than one of the baseline.
    """
    above = 1 - _cumulative(values, values - drop)
    below = _cumulative(values, values + drop)
    mean, product = float(above.mean()), night * baseline
    variance = (
        mean * (1 - mean) + (night - 1) * below.var() + (baseline - 1) * above.var()
    ) / product
    needed = critical * math.sqrt((night + baseline + 1) / (12 * product))
    return float(ndtr((mean - 0.5 - needed) / math.sqrt(max(variance, 1e-12))))


def _cumulative(values: Array, at: Array) -> Array:
    """Return the share of sorted ``values`` below each of ``at``; equal ones count half."""
    sides = np.searchsorted(values, at, "left") + np.searchsorted(values, at, "right")
    return np.asarray(sides / (2 * len(values)))
