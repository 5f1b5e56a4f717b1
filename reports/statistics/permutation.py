"""Is a night worse than a baseline, over a whole grid at once: max-T permutation tests.

Westfall and Young (1993), *Resampling-Based Multiple Testing*, single-step max-T. The statistics
are Wilcoxon's: they assume no distribution, and a diverged run is simply the worst.

Values come as two tables with one row per seed and one column per configuration and measure;
larger is worse (see ``oriented``). A diverged run is infinite. A missing run is NaN: its column is
tested without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import midranks, nan_as_largest

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Draw = Callable[[np.random.Generator, int], Array]
"""Draws a number of permutations and returns their statistics, one row each."""

LEAST = 2
"""Values that a column needs on either side to be tested."""

PERMUTATIONS_AT_ONCE = 1000


@dataclass(frozen=True)
class MaxT:
    """The outcome of a max-T test of k columns.

    ``statistics`` and ``p_values`` have shape (k,); the p-values are adjusted for the k columns.
    ``notes`` says for each column why it was not tested; it is empty if it was.
    """

    statistics: Array
    p_values: Array
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """The p-value of "no column is worse": the smallest adjusted p-value."""
        return float(self.p_values.min(initial=1))


def oriented(values: npt.ArrayLike, *, larger_is_better: bool) -> Array:
    """Return the values of finished runs so that larger is worse, and NaN (diverged) infinite."""
    array = np.asarray(values, dtype=np.float64)
    return nan_as_largest(-array if larger_is_better else array)


def max_t_test(
    night: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    permutations: int = 9999,
    seed: int = 0,
    paired: bool = False,
) -> MaxT:
    """Test in every column whether the night is larger, which is worse, than the baseline.

    ``night`` has shape (n, k), ``baseline`` (m, k). The statistic of a column is its standardised
    Wilcoxon rank sum: the difference of the mean midranks, night minus baseline, over its standard
    deviation under permutation, or 0 if all values are equal. The adjusted p-value is
    (1 + #{permutations whose largest statistic is at least the column's}) / (1 + permutations).
    The test is one-sided and exact: if the night's rows are drawn like the baseline's, an adjusted
    p-value is at most ``a`` with probability at most ``a``, whatever the dependence between
    columns. To test whether the night is better, pass both tables negated.

    If columns lack different rows, each keeps its own number of rows in every permutation, and all
    are labelled by one common order of the rows. The test of each column alone remains exact.

    The rows must be independent: no seed of the night is one of the baseline's. With ``paired``,
    row i of both tables is the same seed instead (n = m), and permutations swap night and baseline
    within rows. The statistic is then the sum of the differences of midranks over the root of the
    sum of their squares, from the complete pairs.

    A column with fewer than 2 values (or pairs) on either side is not tested: its statistic is 0,
    its p-value 1, and it has a note. The same ``seed`` gives the same permutations.

    Raises ValueError for tables that do not fit each other, and for no permutations.
    """
    night, baseline = (np.asarray(table, dtype=np.float64) for table in (night, baseline))
    _check(night, baseline, permutations, paired=paired)
    present, its_baseline = ~np.isnan(night), ~np.isnan(baseline)
    if paired:
        present = its_baseline = present & its_baseline
    counts = present.sum(axis=0), its_baseline.sum(axis=0)
    tested = np.minimum(*counts) >= LEAST

    statistics, p_values = np.zeros(night.shape[1]), np.ones(night.shape[1])
    if tested.any():
        prepare = _paired if paired else _unpaired
        observed, draw = prepare(night[:, tested], baseline[:, tested])
        exceeded = _exceeded(observed, draw, permutations, np.random.default_rng(seed))
        statistics[tested] = observed
        p_values[tested] = (1 + exceeded) / (1 + permutations)
    notes = (
        "" if enough else f"{n} and {m} values in night and baseline: each needs at least {LEAST}"
        for n, m, enough in zip(*counts, tested, strict=True)
    )
    return MaxT(statistics, p_values, tuple(notes))


def _check(night: Array, baseline: Array, permutations: int, *, paired: bool) -> None:
    if night.ndim != 2 or baseline.ndim != 2 or night.shape[1] != baseline.shape[1]:
        raise ValueError(
            "night and baseline must be tables with the same columns, not of the shapes "
            f"{night.shape} and {baseline.shape}"
        )
    if paired and len(night) != len(baseline):
        raise ValueError(f"{len(night)} rows of the night can't be paired with {len(baseline)}")
    if permutations < 1:
        raise ValueError(f"at least one permutation is needed, not {permutations}")


def _exceeded(
    observed: Array, draw: Draw, permutations: int, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Count for each column the permutations whose largest statistic reaches the observed one."""
    exceeded = np.zeros(len(observed), dtype=np.int64)
    for start in range(0, permutations, PERMUTATIONS_AT_ONCE):
        size = min(PERMUTATIONS_AT_ONCE, permutations - start)
        largest = draw(generator, size).max(axis=1, keepdims=True)
        exceeded += np.count_nonzero(largest >= observed, axis=0)
    return exceeded


def _divided(sums: Array, deviations: Array) -> Array:
    """Divide; a deviation of 0 means that all values are equal, and gives 0."""
    return np.divide(sums, deviations, out=np.zeros_like(sums), where=deviations > 0)


@dataclass(frozen=True)
class _Block:
    """Columns that have the same ``rows``, with their midranks and the number of night's rows."""

    columns: npt.NDArray[np.int64]
    rows: Mask
    midranks: Array
    night: int

    def statistics(self, labels: Mask) -> Array:
        """Return the statistics of each labelling: a row of ``labels`` with ``night`` rows set.

        Sums of midranks, multiples of 1/2, are exact: equal ones compare as equal.
        """
        total = len(self.midranks)
        mean = (total + 1) / 2
        squares = ((self.midranks - mean) ** 2).sum(axis=0)
        variances = squares * self.night * (total - self.night) / (total * (total - 1))
        return _divided(labels @ self.midranks - self.night * mean, np.sqrt(variances))


def _unpaired(night: Array, baseline: Array) -> tuple[Array, Draw]:
    pooled = np.concatenate([night, baseline])
    of_night = np.arange(len(pooled)) < len(night)
    patterns, pattern_of = np.unique(~np.isnan(pooled), axis=1, return_inverse=True)
    blocks = []
    for i, rows in enumerate(patterns.T):
        columns = np.flatnonzero(pattern_of.reshape(-1) == i)
        ranks = midranks(pooled[np.ix_(rows, columns)])
        blocks.append(_Block(columns, rows, ranks, int((rows & of_night).sum())))

    def statistics(order: Array) -> Array:
        """Label the first rows in each order as the night's, as many as each block has."""
        found = np.empty((len(order), pooled.shape[1]))
        for block in blocks:
            own = order[:, block.rows]
            last = np.partition(own, block.night - 1, axis=1)[:, [block.night - 1]]
            found[:, block.columns] = block.statistics(own <= last)
        return found

    def draw(generator: np.random.Generator, size: int) -> Array:
        return statistics(generator.random((size, len(pooled))))

    return statistics(np.arange(float(len(pooled)))[np.newaxis])[0], draw


def _paired(night: Array, baseline: Array) -> tuple[Array, Draw]:
    alone = np.isnan(night) | np.isnan(baseline)
    pooled = np.concatenate([np.where(alone, np.nan, table) for table in (night, baseline)])
    ranks = midranks(pooled)
    differences = np.where(alone, 0, ranks[: len(night)] - ranks[len(night) :])
    deviations = np.sqrt((differences**2).sum(axis=0))

    def draw(generator: np.random.Generator, size: int) -> Array:
        signs = generator.choice([-1.0, 1.0], (size, len(night)))
        return _divided(signs @ differences, deviations)

    return _divided(differences.sum(axis=0), deviations), draw
