"""Planning: how many seeds a night needs to detect a fall of the mean, and what it can detect.

The test is one-sided, of the night's mean against the baseline's, at the level that
``tolerance.corrected_level`` allows. Both means count as normal, with the standard deviation of the
given values before and after the fall. The rank test in ``permutation`` needs about 1 / 0.955 as
many seeds for normal values, never more than 1 / 0.864 as many, and fewer for long-tailed values
(Hodges and Lehmann 1956, *Annals of Mathematical Statistics* 27:324).
"""

from __future__ import annotations

import bisect
import math

import numpy as np
import numpy.typing as npt
from scipy.special import comb, ndtri

from reports.statistics.permutation import LEAST
from reports.statistics.tolerance import corrected_level

MOST_SEEDS = 10**6
POWER = 0.9
"""The probability with which ``smallest_visible_drop`` is seen, unless another is asked for."""


def seeds_for_drop(
    final_values: npt.ArrayLike,
    drop: float,
    *,
    level: float,
    power: float = POWER,
    baseline: int | None = None,
    columns: int = 1,
    confidence: float = 0.95,
) -> int | None:
    """Return how many seeds a night needs to detect a fall of the mean by ``drop``.

    ``final_values`` has shape (N,): one value per seed of healthy runs, in the unit of ``drop``.
    ``level`` is the false-alarm rate per night over all ``columns`` tested, kept for a share
    ``confidence`` of baselines. ``power`` is the probability of an alarm, averaged over baselines.
    ``baseline`` is the baseline's number of seeds, or None for as many as the night has. The result
    is None if a million seeds do not suffice: a small baseline limits a night of any size.

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
) -> float:
    """Return the fall of the mean that is detected with probability ``power``, in the values' unit.

    The arguments are those of ``seeds_for_drop``; values that are not finite are ignored. In
    standard deviations of one value the result is (c + z_power) sqrt(1 / night + 1 / baseline),
    where c is the upper normal quantile of one column's share of the corrected level, 1 - (1 -
    corrected)^(1 / columns). The result is infinite if there are so few values that no permutation
    test could reject.

    Raises ValueError for fewer than two finite values, for a ``power`` outside 0.5 to 1, and as
    ``corrected_level`` does.
    """
    values = np.asarray(final_values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        raise ValueError(f"a standard deviation needs two finite values or more, not {len(finite)}")
    if not 0.5 <= power < 1:
        raise ValueError(f"power must be at least 0.5 and below 1, not {power}")
    corrected = corrected_level(
        level, night=night, baseline=baseline, columns=columns, confidence=confidence
    )
    if min(night, baseline) < LEAST or comb(night + baseline, night) * corrected < 1:
        return math.inf
    critical = -ndtri(-math.expm1(math.log1p(-corrected) / columns))
    standard_error = finite.std(ddof=1) * math.sqrt(1 / night + 1 / baseline)
    return float((critical + ndtri(power)) * standard_error)
