"""Is a night worse than a baseline, over a whole grid at once: max-T permutation tests.

Westfall and Young (1993), *Resampling-Based Multiple Testing*, single-step max-T. The statistics
are Wilcoxon's: they need no distribution, and a run that diverged is simply the worst.

Values come as two tables with one row per seed and one column per configuration and measure,
larger being worse (see ``oriented``). A run that diverged is infinite. A run that is missing is
NaN: its column does without it, and nothing is concluded from its absence.
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
"""From a generator and a number of permutations to their statistics, a row each."""

LEAST = 2
"""Values that a column must have on either side to be tested."""

PERMUTATIONS_AT_ONCE = 1000


@dataclass(frozen=True)
class MaxT:
    """The outcome of a max-T test of k columns.

    ``statistics`` and ``p_values`` have shape (k,), and the p-values are adjusted for the k
    columns. ``notes`` says of each column why it wasn't tested, and is empty where it was.
    """

    statistics: Array
    p_values: Array
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """The p-value of "no column is worse", which is the smallest of the adjusted ones."""
        return float(self.p_values.min(initial=1))


def oriented(values: npt.ArrayLike, *, larger_is_better: bool) -> Array:
    """Return the values of finished runs so that larger is worse, and NaN, diverged, the worst."""
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
    deviation under permutation; 0 where all values are equal. The adjusted p-value is
    (1 + #{permutations whose largest statistic is at least the column's}) / (1 + permutations),
    which can't go below 1 / (1 + permutations). It is one-sided and exact: where the night's rows
    are drawn like the baseline's, any adjusted p-value is at most ``a`` with probability ``a`` at
    most, whatever the dependence between the columns of a row. To test whether the night is better,
    give both tables negated.

    Where columns lack different rows, each keeps its own numbers of rows in every permutation, and
    all are labelled after one common order of the rows: the test of each column alone is exact, and
    the dependence between columns is kept as far as they share rows.

    The rows must be independent, the night's seeds none of the baseline's. With ``paired``, row i
    of both tables is the same seed instead, n = m, and permutations swap night and baseline within
    rows: the statistic is the sum of the differences of midranks over the root of their sum of
    configurations, from the pairs of which both are there.

    A column with fewer than 2 values (or pairs) on either side is not tested: statistic 0, p = 1,
    and a note. The same ``seed`` gives the same permutations.

    Raises ``ValueError`` for tables that don't fit each other, and without any permutation.
    """
    night, baseline = (np.asarray(table, dtype=np.float64) for table in (night, baseline))
    _check(night, baseline, permutations, paired=paired)
    there, its_baseline = ~np.isnan(night), ~np.isnan(baseline)
    if paired:
        there = its_baseline = there & its_baseline
    counts = there.sum(axis=0), its_baseline.sum(axis=0)
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
            "night and baseline must be tables of the same columns, and have the shapes "
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
    """Divide; where the deviation is 0 all values are equal, and the statistic is 0."""
    return np.divide(sums, deviations, out=np.zeros_like(sums), where=deviations > 0)


@dataclass(frozen=True)
class _Block:
    """Columns that have the same rows: which these are, and their midranks."""

    columns: npt.NDArray[np.int64]
    rows: Mask
    midranks: Array
    night: int

    def statistics(self, labels: Mask) -> Array:
        """Return the statistics of each labelling, a row of ``labels`` with as many set as night.

        Midranks are multiples of 1/2, so that their sums are exact, and equal ones are seen as
        equal however they were added up.
        """
        total = len(self.midranks)
        mean = (total + 1) / 2
        configurations = ((self.midranks - mean) ** 2).sum(axis=0)
        variances = configurations * self.night * (total - self.night) / (total * (total - 1))
        return _divided(labels @ self.midranks - self.night * mean, np.sqrt(variances))


def _unpaired(night: Array, baseline: Array) -> tuple[Array, Draw]:
    pooled = np.concatenate([night, baseline])
    of_night = np.arange(len(pooled)) < len(night)
    blocks = _blocks(pooled, of_night)
    observed = np.zeros(pooled.shape[1])
    for block in blocks:
        observed[block.columns] = block.statistics(of_night[np.newaxis, block.rows])[0]

    def draw(generator: np.random.Generator, size: int) -> Array:
        order = generator.random((size, len(pooled)))
        statistics = np.empty((size, pooled.shape[1]))
        for block in blocks:
            own = order[:, block.rows]
            last = np.partition(own, block.night - 1, axis=1)[:, [block.night - 1]]
            statistics[:, block.columns] = block.statistics(own <= last)
        return statistics

    return observed, draw


def _blocks(pooled: Array, of_night: Mask) -> list[_Block]:
    there = ~np.isnan(pooled)
    patterns, pattern_of = np.unique(there, axis=1, return_inverse=True)
    blocks = []
    for i, rows in enumerate(patterns.T):
        columns = np.flatnonzero(pattern_of.reshape(-1) == i)
        ranks = midranks(pooled[np.ix_(rows, columns)])
        blocks.append(_Block(columns, rows, ranks, int((rows & of_night).sum())))
    return blocks


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
