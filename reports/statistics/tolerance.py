"""The correction for a baseline's own seed variance.

A baseline is drawn once and then judges every later night. A test of level 5% errs in 5% of all
pairs of a night and a baseline; against the one baseline at hand, if it happens to be good, it errs
far more often, and goes on doing so. What is wanted is a tolerance limit, as in Guttman (1970),
*Statistical Tolerance Regions*: with confidence, this baseline's rate of false alarms is at most
the level.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

GRID = 1024
"""Points for the distribution of the alarm rate. With 16 times as many, the level of up to 64
columns moves by less than 0.3% for n / m from 0.01; below that it is too low by 3% at most."""


def corrected_level(
    level: float, *, night: int, baseline: int, columns: int, confidence: float = 0.95
) -> float:
    """Return the level, ``level`` at most, at which a max-T test is to be run for it to be kept.

    ``night`` and ``baseline`` are numbers of seeds, n and m. Run at the returned level against one
    baseline, night after night, the test alarms at a rate of ``level`` at most, for a share
    ``confidence`` of all baselines.

    The means of both are taken as normal, with the same variance. In a column where the baseline's
    mean is lucky by B of its standard deviations, B ~ N(0, 1), the difference of the means exceeds
    c of its own with probability 1 - Phi(c sqrt(1 + n / m) - B sqrt(n / m)). Over all columns c is
    chosen so that the alarm rate has ``level`` as its ``confidence`` quantile over baselines, and
    the level returned is that of c. This is done for columns that all say the same, where c is
    (z_(1 - level) + z_confidence sqrt(n / m)) / sqrt(1 + n / m) with normal quantiles z, and for
    independent ones. The lower level is taken; for equally correlated columns the level needed was
    found to lie 6% below it at most. ``level`` itself is never exceeded, so that the average rate
    over baselines is kept too.

    It is lowest where n / m is about (z_confidence / z_(1 - level))^2, where the seed variance of
    the night and of the baseline weigh alike. The difference of means that alarms falls with either
    number.

    Raises ``ValueError`` without seeds or columns, for a ``level`` that isn't between 0 and 0.5,
    or a ``confidence`` that isn't at least 0.5 and less than 1.
    """
    if min(night, baseline, columns) < 1:
        raise ValueError(
            "night, baseline and columns must be at least 1, and are "
            f"{night}, {baseline} and {columns}"
        )
    if not 0 < level < 0.5 <= confidence < 1:
        raise ValueError(
            "level must lie between 0 and 0.5, confidence from 0.5 to below 1, and they are "
            f"{level} and {confidence}"
        )
    ratio = night / baseline
    alike = ndtr(-_critical_value(level, ratio, confidence))
    if columns == 1:
        return float(min(level, alike))
    critical = _critical_value_of_independent(level, ratio, confidence, columns)
    return float(min(level, alike, 1 - ndtr(critical) ** columns))


def _critical_value(level: float, ratio: float, confidence: float) -> float:
    """Return c for one column, or columns that say the same."""
    return float((-ndtri(level) + ndtri(confidence) * ratio**0.5) / (1 + ratio) ** 0.5)


@lru_cache(maxsize=1024)
def _critical_value_of_independent(
    level: float, ratio: float, confidence: float, columns: int
) -> float:
    """Return c for independent columns.

    -log(1 - rate) is a sum over the columns of -log Phi(c sqrt(1 + ratio) - B sqrt(ratio)), and
    must be at most -log(1 - level). The terms are rounded to a grid that ends there, and their
    distribution is folded with itself by Fourier transform.
    """
    most = -np.log1p(-level)
    bin_ends = (np.arange(GRID) + 0.5) * most / (GRID - 1)
    quantiles = ndtri(np.exp(-bin_ends))

    def excess(critical: float) -> float:
        up_to = ndtr((critical * (1 + ratio) ** 0.5 - quantiles) / ratio**0.5)
        of_one = np.fft.rfft(np.diff(up_to, prepend=0), columns * GRID)
        of_all = np.fft.irfft(of_one**columns, columns * GRID)[:GRID]
        # Half of what was rounded to the end lies beyond it.
        return float(of_all.sum() - of_all[-1] / 2 - confidence)

    # Bonferroni's shares of both bound how lucky a column is, and how often it alarms.
    enough = _critical_value(level / columns, ratio, 1 - (1 - confidence) / columns)
    from scipy.optimize import brentq  # takes long to import

    return float(brentq(excess, 0, enough + 1, xtol=1e-6))
