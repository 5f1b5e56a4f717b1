"""The global envelope test: one exact p-value for a whole table of curves.

Curves are ordered by extreme rank length (Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn 2017,
"Global envelope tests for spatial processes", *Journal of the Royal Statistical Society B*
79:381-404), or by the area measure (Mrkvička, Myllymäki, Jílek and Hahn 2020, "A one-way ANOVA test
for functional data with graphical interpretation", *Kybernetika* 56:432-458).

A curve is a row of d values, such as all epochs of all measures of one run. The values may have
different units, since only their pointwise ranks matter. NaN, from a diverged run, counts as larger
than any number and ties with other NaN and with infinity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import check_level, midranks, nan_as_largest

Array = npt.NDArray[np.float64]
HUGE = np.finfo(np.float64).max / 4
"""Stands for infinity where differences are taken."""


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

    It is a multiple of 1 / (N + 1) in (0, 1]. The values may have any unit, another one at each
    point; a NaN counts as larger than any number.

    Raises ValueError for a curve and a sample of different lengths.
    """
    return float(extreme_rank_lengths(_together(observed, sample))[0])


def p_values_of_each(observed: npt.ArrayLike, sample: npt.ArrayLike) -> Array:
    """Return the ``envelope_p_value`` of each of k curves on its own, shape (k,).

    ``observed`` has shape (k, d), ``sample`` (N, d). The sample is ranked only once.

    Raises ValueError for curves and a sample of different lengths.
    """
    observed, sample = _table(observed), _table(sample)
    _check_lengths(observed.shape[1:], sample)
    among_sample = midranks(sample)
    return np.array([_p_value(curve, sample, among_sample) for curve in observed])


def area_measures(curves: npt.ArrayLike) -> Array:
    """Return the area measure of each of n curves, shape (n,): less is more extreme.

    ``curves`` has shape (n, d). At each point a curve has a continuous rank c from the nearer end,
    which says how far it is between its neighbours too. With R, the smallest c of the curve rounded
    up, the measure is R minus the mean over all points of max(R - c, 0). Unlike extreme rank
    lengths it depends on distances: a new unit leaves it as it is, a logarithm does not.

    Raises ValueError unless ``curves`` is two-dimensional with at least one point.
    """
    curves = _table(curves)
    # From either end, because n less a rank near n would be rounded, even to 0.
    ranks = np.minimum(_continuous_ranks(curves), _continuous_ranks(-curves))
    extreme = np.ceil(ranks.min(axis=1, keepdims=True))
    measures: Array = extreme[:, 0] - np.maximum(extreme - ranks, 0).mean(axis=1)
    return measures


def area_p_value(observed: npt.ArrayLike, sample: npt.ArrayLike) -> float:
    """Return the exact p-value of one curve, shape (d,), within a sample, by the area measure.

    ``sample`` has shape (N, d). The value is a multiple of 1 / (N + 1) in (0, 1].

    Raises ValueError for a curve and a sample of different lengths.
    """
    measures = area_measures(_together(observed, sample))
    return float(np.mean(measures <= measures[0]))


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

    Raises ValueError if there are no curves, or ``level`` is not between 0 and 1, or ``observed``
    has another length than the sample's curves.
    """
    check_level(level)
    curves = _table(sample) if observed is None else _together(observed, sample)
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


def _together(observed: npt.ArrayLike, sample: npt.ArrayLike) -> Array:
    """Return one curve, followed by those of a sample."""
    curve, curves = nan_as_largest(observed), _table(sample)
    _check_lengths(curve.shape, curves)
    return np.vstack([curve, curves])


def _check_lengths(shape: tuple[int, ...], curves: Array) -> None:
    if shape != curves.shape[1:]:
        raise ValueError(
            f"a curve of shape {shape} can't be ranked among curves of {curves.shape[1]} points"
        )


def _from_nearer_end(from_below: Array, curves: int) -> Array:
    """Return each curve's ranks from the nearer end, in ascending order."""
    return np.sort(np.minimum(from_below, curves + 1 - from_below), axis=-1)


def _continuous_ranks(curves: Array) -> Array:
    """Return each column's continuous ranks, from 0 to n, in the same shape (n, d).

    In ascending order the value y_j has the rank j - 1 + (y_j - y_(j-1)) / (y_(j+1) - y_(j-1)); the
    smallest has exp(-(y_2 - y_1) / (y_n - y_2)), and the largest correspondingly. Tied values have
    their midrank less a half.
    """
    ranks, n = midranks(curves) - 0.5, len(curves)
    if n < 3:
        return ranks
    order = curves.argsort(axis=0)
    y = np.take_along_axis(np.clip(curves, -HUGE, HUGE), order, axis=0)
    gaps = np.diff(y, axis=0)
    # 0 / 0 is between tied values, which have other ranks; HUGE may overflow, and is then furthest.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        first = np.exp(-gaps[:1] / (y[-1] - y[1]))
        inner = np.arange(1, n - 1)[:, np.newaxis] + gaps[:-1] / (y[2:] - y[:-2])
        last = n - np.exp(-gaps[-1:] / (y[-2] - y[0]))
    same = np.pad(gaps == 0, [(1, 1), (0, 0)])
    tied = same[1:] | same[:-1]
    own = np.take_along_axis(ranks, order, axis=0)
    continuous = np.where(tied, own, np.vstack([first, inner, last]))
    np.put_along_axis(ranks, order, continuous, axis=0)
    return ranks


def _p_value(curve: Array, sample: Array, among_sample: Array) -> float:
    # One more value raises the ranks above it by one, and the tied ranks by a half.
    moved = ((sample > curve).astype(np.float64) + (sample >= curve)) / 2
    total = len(sample) + 1
    own = _from_nearer_end(total - moved.sum(axis=0), total)
    difference = _from_nearer_end(among_sample + moved, total) - own
    first = (difference != 0).argmax(axis=1)
    deciding = np.take_along_axis(difference, first[:, np.newaxis], axis=1)
    return float((1 + np.count_nonzero(deciding <= 0)) / total)
