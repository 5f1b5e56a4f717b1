"""Max-T permutation tests of a night against a baseline."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from reports.statistics.permutation import (
    PERMUTATIONS_AT_ONCE,
    MaxT,
    max_t_test,
    oriented,
    smallest_max_t_p_value,
)

Array = npt.NDArray[np.float64]
NAN = float("nan")
INF = float("inf")


def column(*values: float) -> Array:
    """Return a table of one column."""
    return np.array(values, dtype=float)[:, np.newaxis]


def quick(night: Array, baseline: Array, *, paired: bool = False) -> MaxT:
    """Test with few permutations."""
    return max_t_test(night, baseline, permutations=99, paired=paired)


def test_oriented() -> None:
    """Larger becomes worse, and NaN the worst, on either side."""
    assert oriented([0.25, NAN], larger_is_better=True).tolist() == [-0.25, INF]
    assert oriented([2.5, NAN], larger_is_better=False).tolist() == [2.5, INF]


def test_by_hand() -> None:
    """Ranks 3 and 4 of 4: sum 7, mean 5, variance 5/3; one labelling of the six reaches it."""
    result = max_t_test(column(3, 4), column(1, 2), permutations=20000)
    assert result.statistics == pytest.approx([2 / np.sqrt(5 / 3)])
    assert result.p_values == pytest.approx([1 / 6], abs=0.01)
    assert result.notes == ("",)


@pytest.mark.parametrize("diverged", [0, 2])
def test_one_column_is_wilcoxon(diverged: int) -> None:
    """The statistic is scipy's, with its correction for ties, and p that of all labellings."""
    generator = np.random.default_rng(0)
    night, baseline = generator.integers(1, 8, 5) + 1.0, generator.integers(0, 8, 6) + 0.0
    night[:diverged] = INF
    result = max_t_test(column(*night), column(*baseline), permutations=20000)
    asymptotic = stats.mannwhitneyu(
        night, baseline, alternative="greater", method="asymptotic", use_continuity=False
    )
    assert stats.norm.sf(result.statistics[0]) == pytest.approx(asymptotic.pvalue)
    midranks = stats.rankdata(np.concatenate([night, baseline]))
    exact = stats.permutation_test(
        (midranks[:5], midranks[5:]), lambda x, _, axis: x.sum(axis), vectorized=True,
        alternative="greater", n_resamples=np.inf,
    )  # fmt: skip
    assert result.p_values[0] == pytest.approx(exact.pvalue, abs=0.01)


def test_paired_by_hand() -> None:
    """Three pairs, each worse: one of the eight sign patterns reaches it."""
    night, baseline = column(2, 4, 6), column(1, 3, 5)
    result = max_t_test(night, baseline, permutations=20000, paired=True)
    assert result.statistics == pytest.approx([3 / np.sqrt(3)])
    assert result.p_values == pytest.approx([1 / 8], abs=0.01)
    missing = quick(np.vstack([night, [[NAN]]]), np.vstack([baseline, [[1]]]), paired=True)
    assert missing.statistics == pytest.approx([3 / np.sqrt(3)])


def test_two_sided_by_hand() -> None:
    """Smaller counts as much as larger: two of six labellings, two of eight sign patterns."""
    result = max_t_test(column(1, 2), column(3, 4), permutations=20000, two_sided=True)
    assert result.statistics == pytest.approx([-2 / np.sqrt(5 / 3)])
    assert result.p_values == pytest.approx([2 / 6], abs=0.01)
    pairs = column(1, 3, 5), column(2, 4, 6)
    result = max_t_test(*pairs, permutations=20000, paired=True, two_sided=True)
    assert result.p_values == pytest.approx([2 / 8], abs=0.01)
    assert result.baseline_shares[0] < 0.2
    assert max_t_test(column(1, 2), column(3, 4, 5)).baseline_shares.tolist() == [0.4]


def test_pairs_and_independent_seeds_are_combined() -> None:
    """Two pairs and two seeds on either side: the extreme is one of 4 x 6 permutations."""
    night = column(20, 12, 7, 8, NAN, NAN)
    baseline = column(10, 11, NAN, NAN, 5, 6)
    result = max_t_test(night, baseline, permutations=20000, paired=True)
    assert result.p_values == pytest.approx([1 / 24], abs=0.005)
    # Pairs: ranks 4, 3 against 1, 2, so D = 4, of variance 10, where ranks have 5 / 4 each.
    # The others: 7 of 10, so S = 2, of variance 5 / 3; their ranks' squares sum to 5.
    weights = 5 * 3 / (10 + 2 * 5 / 4), (16 - 1) / 5
    expected = 4 * weights[0] + 2 * weights[1]
    assert result.statistics == pytest.approx(
        [expected / np.sqrt(10 * weights[0] ** 2 + 5 / 3 * weights[1] ** 2)]
    )


def test_neither_part_is_thrown_away() -> None:
    """What neither the pairs nor the other seeds show alone, both together do."""
    generator = np.random.default_rng(4)
    baseline = generator.standard_normal((60, 1))
    night = 0.5 * baseline + np.sqrt(0.75) * generator.standard_normal((60, 1)) + 0.55
    night[:15], baseline[45:] = NAN, NAN
    both = slice(15, 45)
    together = max_t_test(night, baseline, permutations=1999, paired=True)
    pairs = max_t_test(night[both], baseline[both], permutations=1999, paired=True)
    others = max_t_test(night[45:], baseline[:15], permutations=1999)
    assert together.p_value < min(pairs.p_value, others.p_value)


def test_paired_sees_what_seeds_hide() -> None:
    """A shift much smaller than the spread over seeds is seen when seeds are compared in pairs."""
    generator = np.random.default_rng(0)
    baseline = generator.standard_normal((20, 2))
    night = baseline + np.array([0.1, 0]) + 0.01 * generator.standard_normal((20, 2))
    assert max_t_test(night, baseline, permutations=999, paired=True).p_values[0] == 0.001
    assert max_t_test(night, baseline, permutations=999).p_values[0] > 0.2
    same = max_t_test(baseline, baseline, permutations=999, paired=True)
    assert same.p_values.tolist() == [1, 1]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(("n", "m"), [(0, 5), (1, 5), (5, 1), (1, 1), (0, 0)])
def test_too_few_values(n: int, m: int, paired: bool) -> None:  # noqa: FBT001
    """A column of fewer than two values on one side is p = 1 and says so; the others are tested."""
    night, baseline = np.ones((6, 2)), np.arange(12.0).reshape(6, 2) - 12
    night[n:, 0] = baseline[m:, 0] = NAN
    if paired:
        n = m = min(n, m)
    result = quick(night, baseline, paired=paired)
    assert (result.statistics[0], result.p_values[0]) == (0, 1)
    assert result.notes == (f"{n} and {m} values in night and baseline: each needs at least 2", "")
    alone = quick(night[:, 1:], baseline[:, 1:], paired=paired)
    assert result.p_value == result.p_values[1] == alone.p_value < 0.1


def test_empty_grid() -> None:
    """Without columns, and without rows, nothing is worse."""
    assert quick(np.empty((3, 0)), np.empty((4, 0))).p_value == 1
    assert quick(np.empty((0, 2)), np.empty((4, 2))).p_values.tolist() == [1, 1]


@pytest.mark.parametrize("paired", [False, True])
def test_constant_columns(paired: bool) -> None:  # noqa: FBT001
    """Where all values are equal the statistic is 0 and p is 1, also where all runs diverged."""
    constant = np.tile([1.0, INF, 0.0], (8, 1))
    worse = constant + np.array([0, 0, 1])
    result = quick(worse, constant, paired=paired)
    assert result.statistics[:2].tolist() == [0, 0]
    assert result.p_values[:2].tolist() == [1, 1]
    assert result.p_values[2] < 0.05


def test_diverged_runs_are_worse_than_any() -> None:
    """Three of eight runs diverged is a regression; the baseline's own eight in twenty none."""
    generator = np.random.default_rng(0)
    night, baseline = generator.standard_normal((8, 1)), generator.standard_normal((200, 1))
    night[:3] = INF
    assert max_t_test(night, baseline, permutations=999).p_value < 0.05
    assert max_t_test(-night, -baseline, permutations=999).p_value > 0.5
    baseline[:80] = INF
    assert max_t_test(night, baseline, permutations=999).p_value > 0.1


def test_missing_runs_are_left_out() -> None:
    """Rows of NaN, and columns that lack rows, change nothing in the statistic."""
    generator = np.random.default_rng(0)
    night, baseline = generator.standard_normal((6, 2)) + 1, generator.standard_normal((9, 2))
    full = quick(night, baseline)
    padded_night = np.vstack([night, np.full((3, 2), NAN)])
    padded_night[6, 1] = NAN
    assert quick(padded_night, baseline).statistics == pytest.approx(full.statistics)
    night[0, 1] = NAN
    partial = quick(night, baseline)
    assert partial.statistics[0] == pytest.approx(full.statistics[0])
    assert partial.statistics[1] == pytest.approx(
        quick(night[1:, 1:], baseline[:, 1:]).statistics[0]
    )


def test_each_column_keeps_its_numbers_in_every_permutation() -> None:
    """With 2 of 4 values in the night p is one of six labellings, whatever others have."""
    night = np.array([[4, 1], [3, 2], [NAN, 3], [NAN, 4.0]])
    baseline = np.array([[1, 5], [2, 6], [NAN, 7.0]])
    result = max_t_test(night, baseline, permutations=20000)
    alone = max_t_test(night[:, :1], baseline[:, :1], permutations=20000)
    assert alone.p_value == pytest.approx(1 / 6, abs=0.01)
    assert result.p_values[0] >= alone.p_value


def test_identical_columns_cost_nothing() -> None:
    """Columns that say the same are adjusted as one, which independent ones are not."""
    generator = np.random.default_rng(1)
    night, baseline = generator.standard_normal((10, 1)) + 0.8, generator.standard_normal((30, 1))
    alone = max_t_test(night, baseline, permutations=1999)
    copies = max_t_test(np.tile(night, 8), np.tile(baseline, 8), permutations=1999)
    assert copies.p_values.tolist() == [alone.p_value] * 8
    others = generator.standard_normal((40, 7))
    independent = max_t_test(
        np.hstack([night, others[:10]]), np.hstack([baseline, others[10:]]), permutations=1999
    )
    assert independent.p_values[0] > 3 * alone.p_value


@pytest.mark.parametrize("paired", [False, True])
def test_batches(paired: bool) -> None:  # noqa: FBT001
    """More permutations than are drawn at once are all drawn, and all counted."""
    night, baseline = column(*range(10)) + 100, column(*range(10))
    for permutations in (1, PERMUTATIONS_AT_ONCE, 2 * PERMUTATIONS_AT_ONCE + 1):
        result = max_t_test(night, baseline, permutations=permutations, paired=paired)
        assert result.p_value == pytest.approx(1 / (1 + permutations), abs=0.003)
        assert result.p_value >= 1 / (1 + permutations)


def test_errors() -> None:
    """Tables that don't fit each other are refused, and so is a test without permutations."""
    with pytest.raises(ValueError, match="same columns"):
        max_t_test(np.ones((3, 2)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="same columns"):
        max_t_test([1.0, 2.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="can't be paired"):
        max_t_test(np.ones((3, 1)), np.ones((4, 1)), paired=True)
    with pytest.raises(ValueError, match="at least one permutation"):
        max_t_test(np.ones((3, 1)), np.ones((4, 1)), permutations=0)


def test_smallest_p_value_is_what_a_clear_difference_has() -> None:
    """Seeds that are all worse have it, up to the noise of random permutations."""
    for night, baseline, pairs in ((3, 4, 0), (0, 0, 5), (2, 3, 3)):
        rows = pairs + night + baseline
        tables = np.full((2, rows, 1), np.nan)
        tables[0, : pairs + night, 0] = 10 + np.arange(pairs + night)
        tables[1, :pairs, 0] = np.arange(pairs)
        tables[1, pairs + night :, 0] = np.arange(baseline)
        for two_sided in (False, True):
            found = max_t_test(*tables, paired=True, two_sided=two_sided).p_value
            expected = smallest_max_t_p_value(night, baseline, pairs=pairs, two_sided=two_sided)
            assert found == pytest.approx(expected, rel=0.25)


def test_smallest_p_value_has_bounds() -> None:
    """It is at least that of the permutations drawn, and 1 where a column is not tested."""
    assert smallest_max_t_p_value(1000, 1000, pairs=1000) == 1 / 10_000
    assert smallest_max_t_p_value(1, 50) == 1
    assert smallest_max_t_p_value(2, 2, columns=9) == 1
    assert smallest_max_t_p_value(0, 0, pairs=6, columns=2) == 2 / 64
    for bad in ((-1, 2), (2, -1)):
        with pytest.raises(ValueError, match="must not be negative"):
            smallest_max_t_p_value(*bad)
    with pytest.raises(ValueError, match="at least 1"):
        smallest_max_t_p_value(5, 5, columns=0)
