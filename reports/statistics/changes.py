"""When the mean of a series has changed, most likely: its best split in two."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def change_point(values: Array, weights: Array | None = None, direction: int = 0) -> int:
    """Return the index of the first value after the most likely change of the mean.

    ``values`` has shape (n,), and ``weights``, such as numbers of seeds, is of the same shape and
    above 0. The split maximises the standardised difference of both weighted means, which is the
    likelihood of one change of the mean of normal values; ties go to the earliest. A ``direction``
    of 1 only looks for a rise, -1 for a fall, 0 for either.

    Whether there is a change at all is not tested: ``reports.statistics.cusum`` does that.

    Raises ValueError for fewer than two values, or weights that are not above 0.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(values) < 2 or weights.shape != values.shape or not (weights > 0).all():
        raise ValueError("need at least two values, each with a weight above 0")
    before = np.cumsum(weights)[:-1]
    after = np.cumsum(weights[::-1])[-2::-1]
    moved = np.cumsum(weights * (np.average(values, weights=weights) - values))[:-1]
    standardised = moved * np.sqrt(weights.sum() / (before * after))
    return 1 + int(np.argmax(standardised * direction if direction else np.abs(standardised)))
