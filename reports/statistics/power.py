"""Planning: how many seeds a night needs to see the mean fall, and what it sees with those it has.

The test is one-sided, of the night's mean against the baseline's, run at the level that
``tolerance.corrected_level`` allows. Both means are taken as normal and the standard deviation as
that of the values at hand, the same before and after. The rank test that ``permutation`` makes
needs about 1 / 0.955 as many seeds for normal values, never more than 1 / 0.864, and less for
long-tailed ones (Hodges and Lehmann 1956, *Annals of Mathematical Statistics* 27:324).
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


def seeds_for_drop(
    final_values: npt.ArrayLike,
    drop: float,
    *,
    level: float,
    power: float = 0.9,
    baseline: int | None = None,
    columns: int = 1,
    confidence: float = 0.95,
) -> int | None:
    """Return how many seeds a night needs for a fall of the mean by ``drop`` to alarm.

    ``final_values`` has shape (N,): one value a seed of runs that are well, in the unit of
    ``drop``. ``level`` is the rate of false alarms a night, over all ``columns`` that are tested,
    for a share ``confidence`` of baselines; ``power`` is the probability to alarm, averaged over
    baselines. ``baseline`` is the baseline's number of seeds, or None for as many as the night.
    The result is None where no number suffices, since against a small baseline a night of any size
    knows its own mean only: none up to a million.

    Raises ``ValueError`` where ``drop`` is not positive, and as ``smallest_visible_drop`` does.
    """
    if not drop > 0:
        raise ValueError(f"drop must be positive, and is {drop}")

    def sees_it(night: int) -> bool:
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

    seeds = 1 + bisect.bisect_left(range(1, MOST_SEEDS + 1), x=1, key=sees_it)
    return seeds if seeds <= MOST_SEEDS else None


def smallest_visible_drop(
    final_values: npt.ArrayLike,
    *,
    night: int,
    baseline: int,
    level: float,
    power: float = 0.9,
    columns: int = 1,
    confidence: float = 0.95,
) -> float:
    """Return the fall of the mean that alarms with probability ``power``, in the values' unit.

    The arguments are those of ``seeds_for_drop``. In standard deviations of one value it is
    (c + z_power) sqrt(1 / night + 1 / baseline), c being the upper normal quantile of one column's
    share of the corrected level, 1 - (1 - corrected)^(1 / columns). It is infinite where so few
    values can be labelled in so few ways that none is rare enough to alarm. Values that are not
    finite, of runs that diverged, are left out.

    Raises ``ValueError`` for fewer than two finite values, a ``power`` that does not lie between
    0.5 and 1, and as ``corrected_level`` does.
    """
    values = np.asarray(final_values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        raise ValueError(f"a spread needs at least two finite values, not {len(finite)}")
    if not 0.5 <= power < 1:
        raise ValueError(f"power must be at least 0.5 and below 1, and is {power}")
    corrected = corrected_level(
        level, night=night, baseline=baseline, columns=columns, confidence=confidence
    )
    if min(night, baseline) < LEAST or comb(night + baseline, night) * corrected < 1:
        return math.inf
    critical = -ndtri(-math.expm1(math.log1p(-corrected) / columns))
    standard_error = finite.std(ddof=1) * math.sqrt(1 / night + 1 / baseline)
    return float((critical + ndtri(power)) * standard_error)
