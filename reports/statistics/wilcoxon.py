"""Wilcoxon's scores of a night against a baseline, with their distribution under permutation.

Both functions return ``Scores``, one sum for each column of the tables. A sum has mean 0 under
permutation, and its ``variance`` is the same in every permutation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import midranks

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scores:
    """Sums of scores of k columns, each array of shape (k,).

    ``draw`` returns the sums of so many random permutations, one row each. ``weights`` are what the
    sums of pairs and of independent samples are multiplied by before they are added: a shift of one
    standard error then counts for the same in both. ``baseline_shares`` are the shares of the
    variances that the baseline's own seeds contribute.
    """

    observed: Array
    variance: Array
    weights: Array
    baseline_shares: Array
    draw: Callable[[np.random.Generator, int], Array]


def divided(numerators: Array, denominators: Array) -> Array:
    """Divide; what is divided by 0 becomes 0."""
    numerators, denominators = np.broadcast_arrays(numerators, denominators)
    return np.divide(
        numerators, denominators, out=np.zeros(numerators.shape), where=denominators > 0
    )


def of_pairs(night: Array, baseline: Array) -> Scores:
    """Return the sums of the differences of midranks of s pairs, from two tables of shape (s, k).

    A permutation swaps the two values of a pair, in all columns at once. A pair that lacks a value
    has no part in that column.
    """
    alone = np.isnan(night) | np.isnan(baseline)
    pooled = np.concatenate([np.where(alone, np.nan, table) for table in (night, baseline)])
    ranks = midranks(pooled)
    count = (~alone).sum(axis=0)
    differences = np.where(alone, 0, ranks[: len(night)] - ranks[len(night) :])
    variance = (differences**2).sum(axis=0)
    spread = divided(_squares(ranks), 2 * count)

    def draw(generator: np.random.Generator, size: int) -> Array:
        return generator.choice([-1.0, 1.0], (size, len(night))) @ differences

    return Scores(
        observed=differences.sum(axis=0),
        variance=variance,
        # The variance of one difference is estimated as if one more pair were uncorrelated: a few
        # pairs that are close by luck do not outweigh everything else.
        weights=divided((2.0 * count + 1) * (count + 1), variance + 2 * spread),
        # Given the baseline, a difference that correlates by r has (1 - r) / 2 of its variance
        # from there, where 1 - r is its variance over that of two independent values.
        baseline_shares=np.minimum(divided(variance, 4 * count * spread), 0.5),
        draw=draw,
    )


def of_independent(night: Array, baseline: Array) -> Scores:
    """Return the rank sums of the night, less their means, from tables of (u, k) and (v, k).

    A permutation labels the rows anew, by one common order for all columns; each column keeps its
    number of values on either side.
    """
    pooled = np.concatenate([night, baseline])
    of_night = np.arange(len(pooled)) < len(night)
    blocks = _blocks(pooled, of_night)
    variance, weights, shares = (np.zeros(pooled.shape[1]) for _ in range(3))
    for block in blocks:
        squares, total, columns = _squares(block.midranks), len(block.midranks), block.columns
        variance[columns] = squares * block.night * (total - block.night) / (total * (total - 1))
        weights[columns] = divided(np.full(squares.shape, total**2 - 1.0), squares)
        shares[columns] = block.night / total

    def sums(order: Array) -> Array:
        """Label the first rows in each order as the night's, as many as each block has."""
        found = np.zeros((len(order), pooled.shape[1]))
        for block in blocks:
            own = order[:, block.rows]
            last = np.partition(own, block.night - 1, axis=1)[:, [block.night - 1]]
            found[:, block.columns] = block.sums(own <= last)
        return found

    def draw(generator: np.random.Generator, size: int) -> Array:
        return sums(generator.random((size, len(pooled))))

    observed = sums(np.arange(float(len(pooled)))[np.newaxis])[0]
    return Scores(observed, variance, weights, shares, draw)


def _squares(ranks: Array) -> Array:
    """Return the sums of the squared deviations from the mean rank, without NaN."""
    count = (~np.isnan(ranks)).sum(axis=0)
    return np.asarray(np.nansum((ranks - (count + 1) / 2) ** 2, axis=0))


@dataclass(frozen=True)
class _Block:
    """Columns that have the same ``rows``, with their midranks and the number of night's rows."""

    columns: npt.NDArray[np.int64]
    rows: Mask
    midranks: Array
    night: int

    def sums(self, labels: Mask) -> Array:
        """Return the centred sums of each labelling: a row of ``labels`` with ``night`` rows set.

        Sums of midranks, multiples of 1/2, are exact: equal ones compare as equal.
        """
        return labels @ self.midranks - self.night * (len(self.midranks) + 1) / 2


def _blocks(pooled: Array, of_night: Mask) -> list[_Block]:
    """Return the columns in blocks, without those that lack one side."""
    patterns, pattern_of = np.unique(~np.isnan(pooled), axis=1, return_inverse=True)
    blocks = []
    for i, rows in enumerate(patterns.T):
        columns = np.flatnonzero(pattern_of.reshape(-1) == i)
        ranks = midranks(pooled[np.ix_(rows, columns)])
        night = int((rows & of_night).sum())
        if 0 < night < len(ranks):
            blocks.append(_Block(columns, rows, ranks, night))
    return blocks
