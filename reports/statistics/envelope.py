"""The global envelope test by extreme rank length: one exact p-value for a whole table of curves.

Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn (2017), "Global envelope tests for spatial
processes", *Journal of the Royal Statistical Society B* 79:381-404.

A curve is a row of d values, such as all epochs of all measures of one run. The values may have
different units, since only their pointwise ranks matter. NaN, from a diverged run, counts as larger
than any number and ties with other NaN and with infinity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import check_level, midranks, nan_as_largest

Array = npt.NDArray[np.float64]


def extreme_rank_lengths(curves: npt.ArrayLike) -> Array:
    """Return for each of n curves the share of the n that are at least as extreme, shape (n,).

    ``curves`` has shape (n, d). At each point a curve is ranked from the nearer end; ties share
    their mean rank. A curve is more extreme than another if its ranks, sorted in ascending order,
    come first lexicographically. If the curves are exchangeable, the value of any one of them is an
    exact p-value: a multiple of 1 / n that is at most ``a`` with probability at most ``a``.

    Raises ValueError unless ``curves`` is two-dimensional with at least one point.
    """
    curves = _table(curves)
    ranks = _from_nearer_end(midranks(curves), len(curves))
    _, group, sizes = np.unique(ranks, axis=0, return_inverse=True, return_counts=True)
    lengths: Array = sizes.cumsum()[group.reshape(-1)] / len(curves)
    return lengths


def envelope_p_value(observed: npt.ArrayLike, sample: npt.ArrayLike) -> float:
    """Return the exact p-value of one curve, shape (d,), within a sample, shape (N, d).

    It is a multiple of 1 / (N + 1) in (0, 1].
    """
    return float(extreme_rank_lengths(np.vstack([observed, sample]))[0])


def p_values_of_each(observed: npt.ArrayLike, sample: npt.ArrayLike) -> Array:
    """Return the ``envelope_p_value`` of each of k curves on its own, shape (k,).

    ``observed`` has shape (k, d), ``sample`` (N, d). The sample is ranked only once.
    """
    observed, sample = _table(observed), _table(sample)
    among_sample = midranks(sample)
    return np.array([_p_value(curve, sample, among_sample) for curve in observed])


def smallest_p_value(seeds: int) -> float:
    """Return the smallest ``envelope_p_value`` that a sample of ``seeds`` curves can give."""
    return 1 / (seeds + 1)


def global_envelope(
    sample: npt.ArrayLike, level: float = 0.95, *, observed: npt.ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return the lower and upper bound, each of shape (d,), of the least extreme curves.

    ``sample`` has shape (N, d). The bounds enclose the curves whose ``extreme_rank_lengths`` exceed
    1 - ``level``, where ``observed``, shape (d,), is ranked among them if given. A ranked curve
    that leaves the bounds at any point is rejected: its p-value is at most 1 - ``level``. A
    rejected curve leaves the bounds or, if values are tied, touches them.

    To illustrate a test, pass the curve that is tested. If N is too small to reject any curve, the
    bounds enclose all of them. A bound is infinite where a diverged curve lies within it.

    Raises ValueError if there are no curves, or ``level`` is not between 0 and 1.
    """
    check_level(level)
    curves = _table(sample if observed is None else np.vstack([observed, sample]))
    if not len(curves):
        raise ValueError("an envelope needs at least one curve")
    # 1 - 0.9 is slightly below 0.1, so that 1 curve in 10 would be kept without rounding.
    kept = curves[extreme_rank_lengths(curves) > round(1 - level, 12)]
    return kept.min(axis=0), kept.max(axis=0)


def _table(curves: npt.ArrayLike) -> Array:
    values = nan_as_largest(curves)
    if values.ndim != 2 or not values.shape[1]:
        raise ValueError(
            f"curves need one row each and one column per point, not shape {values.shape}"
        )
    return values


def _from_nearer_end(from_below: Array, curves: int) -> Array:
    """Return each curve's ranks from the nearer end, in ascending order."""
    return np.sort(np.minimum(from_below, curves + 1 - from_below), axis=-1)


def _p_value(curve: Array, sample: Array, among_sample: Array) -> float:
    # One more value raises the ranks above it by one, and the tied ranks by a half.
    moved = ((sample > curve).astype(np.float64) + (sample >= curve)) / 2
    total = len(sample) + 1
    own = _from_nearer_end(total - moved.sum(axis=0), total)
    difference = _from_nearer_end(among_sample + moved, total) - own
    first = (difference != 0).argmax(axis=1)
    deciding = np.take_along_axis(difference, first[:, np.newaxis], axis=1)
    return float((1 + np.count_nonzero(deciding <= 0)) / total)
