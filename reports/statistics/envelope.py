"""The global envelope test by extreme rank length: one exact p-value for a whole table of curves.

Myllymäki, Mrkvička, Grabarnik, Seijo and Hahn (2017), "Global envelope tests for spatial
processes", *Journal of the Royal Statistical Society B* 79:381-404.

A curve is a row of d values: all epochs of all measures of one run, say. The values need no common
unit, since only their pointwise ranks are used. NaN, from a diverged run, counts as larger than any
number, and is tied with other NaN and with infinity.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import midranks, nan_as_largest

Array = npt.NDArray[np.float64]


def extreme_rank_lengths(curves: npt.ArrayLike) -> Array:
    """Return for each of n curves the share of the n that are at least as extreme, shape (n,).

    ``curves`` has shape (n, d). At each point a curve's rank is counted from the nearer end, ties
    sharing the mean of their ranks. Of two curves the more extreme is the one whose ranks, in
    ascending order, come first in the lexicographic order: the one with the lower lowest rank, or
    with as low a rank at more points. Were the curves exchangeable, the result for any one of them,
    itself and its ties included, is an exact p-value: a multiple of 1 / n in (0, 1], at most
    ``a`` with probability ``a`` at most.

    Raises ``ValueError`` for anything but a table of curves of at least one point.
    """
    curves = _table(curves)
    ranks = _from_nearer_end(midranks(curves), len(curves))
    _, group, sizes = np.unique(ranks, axis=0, return_inverse=True, return_counts=True)
    lengths: Array = sizes.cumsum()[group.reshape(-1)] / len(curves)
    return lengths


def envelope_p_value(observed: npt.ArrayLike, sample: npt.ArrayLike) -> float:
    """Return the exact p-value of one curve, shape (d,), among itself and a sample, shape (N, d).

    It is a multiple of 1 / (N + 1) in (0, 1].
    """
    return float(extreme_rank_lengths(np.vstack([observed, sample]))[0])


def p_values_of_each(observed: npt.ArrayLike, sample: npt.ArrayLike) -> Array:
    """Return the ``envelope_p_value`` of each of k curves, shape (k, d), against the sample alone.

    ``sample`` has shape (N, d); the result has shape (k,). The sample is ranked once, and not k
    times.
    """
    observed, sample = _table(observed), _table(sample)
    among_sample = midranks(sample)
    return np.array([_p_value(curve, sample, among_sample) for curve in observed])


def smallest_p_value(seeds: int) -> float:
    """Return the smallest ``envelope_p_value`` that a sample of so many seeds can give."""
    return 1 / (seeds + 1)


def global_envelope(
    sample: npt.ArrayLike, level: float = 0.95, *, observed: npt.ArrayLike | None = None
) -> tuple[Array, Array]:
    """Return the lower and upper bound, each of shape (d,), of the least extreme curves.

    ``sample`` has shape (N, d). The curves are ranked with ``observed``, shape (d,), among them
    where one is given, and the bounds enclose those whose ``extreme_rank_lengths`` exceed
    1 - ``level``. Hence, for ``observed`` and for every other curve that was ranked:

    - one that is outside at some point is rejected: its p-value is at most 1 - ``level``;
    - one that is rejected is outside at some point, or else, where values are tied, on a bound
      there. Without ties, outside and rejected are the same.

    To show a test, give the curve that is tested. Without it the bounds are those of the central
    ``level`` of the sample. Where N is too small to reject any curve, all are enclosed, the
    observed one too. A bound is infinite where a curve that diverged is not among the extreme.

    Raises ``ValueError`` where there are no curves, or ``level`` is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, and is {level}")
    curves = _table(sample if observed is None else np.vstack([observed, sample]))
    if not len(curves):
        raise ValueError("an envelope needs at least one curve")
    # 1 - 0.9 is a little less than 0.1, which the length of 1 curve in 10 must not exceed.
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
    # One more value moves those above it up by one rank, and those it is tied with by a half.
    moved = ((sample > curve).astype(np.float64) + (sample >= curve)) / 2
    total = len(sample) + 1
    own = _from_nearer_end(total - moved.sum(axis=0), total)
    ranks = _from_nearer_end(among_sample + moved, total)
    difference = ranks - own
    first = (difference != 0).argmax(axis=1)
    deciding = np.take_along_axis(difference, first[:, np.newaxis], axis=1)
    return float((1 + np.count_nonzero(deciding <= 0)) / total)
