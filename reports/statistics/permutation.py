"""Does a night differ from a baseline, over a whole grid at once? Max-T permutation tests.

Westfall and Young (1993), *Resampling-Based Multiple Testing*, single-step max-T. The statistics
are Wilcoxon's: they assume no distribution, and a diverged run is simply the worst.

Values come as two tables with one row per seed and one column per configuration and measure;
larger is worse (see ``oriented``). A diverged run is infinite. A missing run is NaN: its column is
tested without it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reports.statistics.ranks import nan_as_largest
from reports.statistics.wilcoxon import Scores, divided, of_independent, of_pairs

Array = npt.NDArray[np.float64]

LEAST = 2
"""Values that a column needs on either side to be tested."""

PERMUTATIONS_AT_ONCE = 1000


@dataclass(frozen=True)
class MaxT:
    """The outcome of a max-T test of k columns.

    ``statistics``, ``p_values`` and ``baseline_shares`` have shape (k,). Where a statistic is
    positive the night is larger. The p-values are adjusted for the k columns. A baseline share is
    how much of the statistic's variance is the baseline's own seed variance: n / (n + m) for n
    independent values against m, (1 - r) / 2 for pairs that are correlated by r. ``notes`` says for
    each column why it was not tested; it is empty if it was.
    """

    statistics: Array
    p_values: Array
    baseline_shares: Array
    notes: tuple[str, ...]

    @property
    def p_value(self) -> float:
        """The p-value of the whole grid: the smallest adjusted p-value."""
        return float(self.p_values.min(initial=1))


def oriented(values: npt.ArrayLike, *, larger_is_better: bool) -> Array:
    """Return the values of finished runs so that larger is worse, and NaN (diverged) infinite.

    The result is float64 and has the shape of ``values``.
    """
    array = np.asarray(values, dtype=np.float64)
    return nan_as_largest(-array if larger_is_better else array)


def max_t_test(
    night: npt.ArrayLike,
    baseline: npt.ArrayLike,
    *,
    permutations: int = 9999,
    seed: int = 0,
    paired: bool = False,
    two_sided: bool = False,
) -> MaxT:
    """Test in every column whether the night is larger, which is worse, than the baseline.

    ``night`` has shape (n, k), ``baseline`` (m, k). The statistic of a column is its standardised
    Wilcoxon rank sum: the difference of the mean midranks, night minus baseline, over its standard
    deviation under permutation, or 0 if all values are equal. The adjusted p-value is
    (1 + #{permutations whose largest statistic is at least the column's}) / (1 + permutations).
    The test is exact: if the night's rows are drawn like the baseline's, an adjusted p-value is at
    most ``a`` with probability at most ``a``, whatever the dependence between columns.

    ``two_sided`` tests whether the night is different, larger or smaller: absolute values of the
    statistics are compared. To test only whether the night is better, pass both tables negated.

    If columns lack different rows, each keeps its own number of rows in every permutation, and all
    are labelled by one common order of the rows. The test of each column alone remains exact.

    The rows must be independent: no seed of the night is one of the baseline's. With ``paired``,
    row i of both tables is the same seed instead (n = m), and permutations swap night and baseline
    within rows. The statistic is then the sum of the differences of midranks over the root of the
    sum of their squares, from the complete pairs. A seed that one table lacks is a row of NaN
    there. Such rows are independent samples: they are compared by the rank sum, and both sums are
    added, each with the inverse of its variance as its weight. The weights are the same in every
    permutation, so that this test is exact too. The index of a DataFrame is not looked at.

    A column with fewer than 2 values (or pairs) on either side is not tested: its statistic is 0,
    its p-value 1, and it has a note. The same ``seed`` gives the same permutations.

    Raises ValueError for tables that do not fit each other, and for no permutations.
    """
    night, baseline = (np.asarray(table, dtype=np.float64) for table in (night, baseline))
    _check(night, baseline, permutations, paired=paired)
    pairs, alone = _by_seed(night, baseline) if paired else ((night[:0],) * 2, (night, baseline))
    complete = (~np.isnan(pairs[0]) & ~np.isnan(pairs[1])).sum(axis=0)
    counts = [complete + (~np.isnan(table)).sum(axis=0) for table in alone]
    tested = np.minimum(*counts) >= LEAST

    statistics, shares = np.zeros(night.shape[1]), np.zeros(night.shape[1])
    p_values = np.ones(night.shape[1])
    if tested.any():
        parts = [
            of_pairs(*(table[:, tested] for table in pairs)),
            of_independent(*(table[:, tested] for table in alone)),
        ]
        weighted = [part.weights**2 * part.variance for part in parts]
        variance = weighted[0] + weighted[1]
        own = sum(w * part.baseline_shares for w, part in zip(weighted, parts, strict=True))
        observed = _statistics(parts, [part.observed for part in parts], variance)
        exceeded = np.zeros(len(observed), dtype=np.int64)
        generator = np.random.default_rng(seed)
        for start in range(0, permutations, PERMUTATIONS_AT_ONCE):
            size = min(PERMUTATIONS_AT_ONCE, permutations - start)
            drawn = _statistics(parts, [part.draw(generator, size) for part in parts], variance)
            exceeded += _exceeded(observed, drawn, two_sided=two_sided)
        statistics[tested], shares[tested] = observed, divided(np.asarray(own), variance)
        p_values[tested] = (1 + exceeded) / (1 + permutations)
    notes = (
        "" if enough else f"{n} and {m} values in night and baseline: each needs at least {LEAST}"
        for n, m, enough in zip(*counts, tested, strict=True)
    )
    return MaxT(statistics, p_values, shares, tuple(notes))


def smallest_max_t_p_value(
    night: int,
    baseline: int,
    *,
    pairs: int = 0,
    columns: int = 1,
    permutations: int = 9999,
    two_sided: bool = False,
) -> float:
    """Return a p-value that ``max_t_test`` can reach with so few seeds.

    ``night`` and ``baseline`` are the numbers of independent seeds on either side, beside
    ``pairs``. One permutation in 2^pairs * C(night + baseline, night), or two of a two-sided test,
    is as extreme as can be in one of the ``columns``, and others may be in another. The result is
    at least 1 / (1 + ``permutations``), and 1 where a side has fewer than 2 seeds. If it exceeds
    the level, the seeds are too few to reject anything.

    Raises ValueError for a negative number of seeds, and without columns or permutations.
    """
    if min(night, baseline, pairs) < 0 or min(columns, permutations) < 1:
        raise ValueError(
            "seeds and pairs must not be negative, and columns and permutations at least 1, not "
            f"{night}, {baseline}, {pairs}, {columns} and {permutations}"
        )
    if pairs + min(night, baseline) < LEAST:
        return 1.0
    arrangements = 2**pairs * math.comb(night + baseline, night)
    extreme = columns * (2 if two_sided else 1)
    return float(max(min(1.0, extreme / arrangements), 1 / (1 + permutations)))


def _by_seed(night: Array, baseline: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return the rows of seeds that both have, and those of seeds that one of them has."""
    here, there = (~np.isnan(table).all(axis=1) for table in (night, baseline))
    both = here & there
    return (night[both], baseline[both]), (night[here & ~there], baseline[there & ~here])


def _statistics(parts: list[Scores], sums: list[Array], variance: Array) -> Array:
    """Return the standardised statistics of the weighted ``sums`` of pairs and the others."""
    total = parts[0].weights * sums[0] + parts[1].weights * sums[1]
    return divided(total, np.sqrt(variance))


def _exceeded(observed: Array, drawn: Array, *, two_sided: bool) -> npt.NDArray[np.int64]:
    """Count for each column the permutations whose largest statistic reaches the observed one."""
    if two_sided:
        observed, drawn = np.abs(observed), np.abs(drawn)
    largest = drawn.max(axis=1, keepdims=True)
    return np.asarray(np.count_nonzero(largest >= observed, axis=0))


def _check(night: Array, baseline: Array, permutations: int, *, paired: bool) -> None:
    if night.ndim != 2 or baseline.ndim != 2 or night.shape[1] != baseline.shape[1]:
        raise ValueError(
            "night and baseline must be tables with the same columns, (n, k) and (m, k), not of "
            f"the shapes {night.shape} and {baseline.shape}; one column is values[:, np.newaxis]"
        )
    if paired and len(night) != len(baseline):
        raise ValueError(f"{len(night)} rows of the night can't be paired with {len(baseline)}")
    if permutations < 1:
        raise ValueError(f"at least one permutation is needed, not {permutations}")
