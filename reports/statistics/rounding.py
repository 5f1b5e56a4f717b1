"""Is this the same computation? One run held against the reference run of the same seed.

Healthy executions of one seed, by other kernels, thread counts or dtypes, differ by rounding only.
How far they are apart is measured once, point by point, and a run that is several times further
from its reference computes something else. One seed is enough, while a comparison of means needs
many. (The test of perturbation growth of climate models; Rosinski and Williamson 1997, "The
accumulation of rounding errors and port validation for global atmospheric models", *SIAM Journal on
Scientific Computing* 18:552-564.)

``hnrnn.departures`` does more for the notebook's models, for which thousands of healthy pairs are
known: seeds that jump have limits of their own, and many seeds decide together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MARGIN = 3.0
"""How many times the furthest healthy distance is the limit."""


def distances(runs: npt.ArrayLike, references: npt.ArrayLike) -> Array:
    """Return how far each value is from the reference's, in the same shape and unit.

    The distance is 0 where both are the same, NaN and infinity included, and infinite where only
    one of the two is finite.

    Raises ValueError for arrays of different shapes.
    """
    values, expected = (np.asarray(each, dtype=np.float64) for each in (runs, references))
    if values.shape != expected.shape:
        raise ValueError(
            f"runs of shape {values.shape} can't be held against references of {expected.shape}"
        )
    with np.errstate(invalid="ignore"):  # infinity less infinity
        found = np.abs(values - expected)
    same = (values == expected) | (np.isnan(values) & np.isnan(expected))
    return np.where(same, 0.0, np.where(np.isfinite(found), found, np.inf))


def rounding_limits(
    runs: npt.ArrayLike,
    references: npt.ArrayLike,
    *,
    margin: float = MARGIN,
    resolution: npt.ArrayLike = 0.0,
) -> Array:
    """Return how far a healthy run may be from its reference at each of d points, shape (d,).

    ``runs`` and ``references`` have shape (n, d): row i of both is one seed, executed in two ways
    that are known to be right. The limit of a point is ``margin`` times the furthest of the n
    distances, or times ``resolution`` where that is larger. The resolution is the smallest step of
    the values, such as 1 / predictions of an accuracy, and broadcasts to (d,). A pair that is like
    the n is further than all of them at a given point with a probability of at most 1 / (n + 1);
    the margin is for all points and for many runs, so that 10 pairs or more, of every healthy kind
    there is, are a start.

    Raises ValueError unless the arrays are two equal tables with a pair at least, for pairs of
    which only one is finite, for a ``margin`` below 1 and a negative ``resolution``.
    """
    apart = distances(runs, references)
    if apart.ndim != 2 or not len(apart):
        raise ValueError(f"pairs need one row each and one column per point, not {apart.shape}")
    if not np.isfinite(apart).all():
        raise ValueError("a healthy pair has a value that is finite in one of its two runs only")
    steps = np.asarray(resolution, dtype=np.float64)
    if not margin >= 1 or not np.all(steps >= 0):
        raise ValueError(
            f"margin must be at least 1 and resolution at least 0, not {margin} and {steps.min()}"
        )
    limits: Array = margin * np.maximum(apart.max(axis=0), steps)
    return limits


def times_beyond(run: npt.ArrayLike, reference: npt.ArrayLike, limits: npt.ArrayLike) -> Array:
    """Return how far a run is from its reference in units of the limits, in the run's shape.

    ``run`` and ``reference`` have shape (d,), or (n, d) for n seeds, and ``limits`` has shape (d,).
    A value above 1 is beyond what rounding was seen to do: the run is another computation, and the
    first such point says where it begins. A distance of 0 is 0 limits; any other is infinite where
    the limit is 0.

    Raises ValueError for arrays that do not fit each other.
    """
    apart, most = distances(run, reference), np.asarray(limits, dtype=np.float64)
    if most.ndim != 1 or apart.shape[-1:] != most.shape:
        raise ValueError(f"{most.shape} limits do not fit runs of the shape {apart.shape}")
    with np.errstate(divide="ignore", invalid="ignore"):
        times: Array = np.where(apart == 0, 0.0, apart / most)
    return times
