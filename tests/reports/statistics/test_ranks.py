"""Exact rank tests, and what holds for several of them at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.statistics.envelope import smallest_p_value
from reports.statistics.ranks import (
    clopper_pearson,
    holm,
    joint_p_value,
    nan_as_largest,
    rank_p_value,
    same_rate_p_value,
    seeds_needed,
    smallest_rank_p_value,
)

NAN = float("nan")
VALUES = st.integers(-4, 4) | st.just(NAN)
P_VALUES = st.lists(st.floats(0.001, 1) | st.just(NAN), max_size=12)


def test_nan_as_largest() -> None:
    """NaN becomes infinity, and all else stays as it is."""
    assert nan_as_largest([1, NAN, -np.inf]).tolist() == [1, np.inf, -np.inf]


@pytest.mark.parametrize(
    ("value", "sample", "expected"),
    [
        (0.5, range(1, 40), 2 / 40),
        (99.0, range(1, 40), 2 / 40),
        (2.5, range(1, 40), 6 / 40),
        (2.0, [1, 2, 2, 3, 4, 5, 6, 7, 8], 2 * 4 / 10),
        (2.0, [2, 2, 2], 1),
        (1.0, [], 1),
        (1.0, [2], 1),
        (9.0, [1, 2, NAN, NAN], 1),
        (NAN, [1, 2, 3], 2 / 4),
        (NAN, [1, 2, 3, NAN, NAN, np.inf, 4], 2 * 4 / 8),
    ],
)
def test_rank_p_value(value: float, sample: list[float], expected: float) -> None:
    """Twice the smaller tail of the N + 1, ties in both tails, NaN beyond every number."""
    assert rank_p_value(value, sample) == pytest.approx(expected)


@given(st.lists(VALUES, max_size=20), VALUES, st.integers(0, 10**6))
def test_rank_p_value_properties(sample: list[float], value: float, seed: int) -> None:
    """It is a p-value, the same in any order of seeds, in any unit, with the sign turned."""
    p = rank_p_value(value, sample)
    assert smallest_rank_p_value(len(sample)) <= p <= 1
    assert rank_p_value(value, np.random.default_rng(seed).permutation(sample)) == p
    assert rank_p_value(np.exp(value), np.exp(sample)) == p
    assert rank_p_value(-nan_as_largest(value).item(), -nan_as_largest(sample)) == p


@given(st.lists(VALUES, min_size=1, max_size=20), st.floats(0, 5), st.floats(0, 5))
def test_rank_p_value_is_monotone(sample: list[float], near: float, further: float) -> None:
    """From the upper median outwards it never grows."""
    median = np.sort(nan_as_largest(sample))[len(sample) // 2]
    assert rank_p_value(median + near + further, sample) <= rank_p_value(median + near, sample)


def test_rank_p_value_is_uniform() -> None:
    """Each of N + 1 different values has its rank's p-value: exactly uniform under the null."""
    values = np.random.default_rng(0).standard_normal(20)
    ps = sorted(rank_p_value(values[i], np.delete(values, i)) for i in range(20))
    assert ps == pytest.approx(np.repeat(np.arange(1, 11) / 10, 2))


def test_smallest_rank_p_value_is_reached() -> None:
    """The bound is what a value beyond all others gets, N = 0 and N = 1 included."""
    for seeds in (0, 1, 2, 60):
        assert rank_p_value(np.inf, np.zeros(seeds)) == smallest_rank_p_value(seeds)


def test_holm() -> None:
    """Numbers worked out by hand: 4 x 0.01, 3 x 0.02, then 2 x 0.02 held up, 1 x 0.9."""
    assert holm([0.02, 0.9, 0.01, 0.02]) == pytest.approx([0.06, 0.9, 0.04, 0.06])
    assert holm([0.5, 0.6]) == pytest.approx([1, 1])
    assert holm([0.03]) == pytest.approx([0.03])
    assert holm([]).shape == (0,)


def test_holm_leaves_out_what_was_not_tested() -> None:
    """NaN stays in its place, and the others are adjusted for their own number."""
    assert holm([NAN, 0.02, NAN, 0.01]) == pytest.approx([NAN, 0.02, NAN, 0.02], nan_ok=True)
    assert np.isnan(holm([NAN])).all()


@given(P_VALUES, st.integers(0, 10**6))
def test_holm_properties(p_values: list[float], seed: int) -> None:
    """Between p and Bonferroni's k p, in the same order as p, whatever the order of the tests."""
    p = np.array(p_values)
    adjusted = holm(p)
    tested = ~np.isnan(p)
    assert (np.isnan(adjusted) == ~tested).all()
    assert (adjusted[tested] >= p[tested]).all()
    assert (adjusted[tested] <= np.minimum(1, tested.sum() * p[tested])).all()
    assert (np.diff(adjusted[tested][np.argsort(p[tested])]) >= 0).all()
    order = np.random.default_rng(seed).permutation(len(p))
    np.testing.assert_array_equal(holm(p[order]), adjusted[order])


def test_holm_keeps_its_level() -> None:
    """With some effects real, a true hypothesis is rejected in 5% of families at most."""
    p = np.random.default_rng(0).random((4000, 8))
    p[:, :3] *= 1e-3
    errors = np.mean([(holm(row)[3:] <= 0.05).any() for row in p])
    assert errors == pytest.approx(0.05, abs=0.012)


def test_joint_p_value() -> None:
    """One p-value is itself, two have the closed form q (1 - ln q) of their product q."""
    assert joint_p_value([0.3]) == pytest.approx(0.3)
    q = 0.1 * 0.2
    assert joint_p_value([0.1, NAN, 0.2]) == pytest.approx(q * (1 - np.log(q)))
    assert joint_p_value([1.0, 1.0]) == 1
    assert np.isnan(joint_p_value([NAN]))


def test_joint_p_value_is_conservative_for_exact_p_values() -> None:
    """For multiples of 1 / (N + 1) it falls below a level no more often than that."""
    p = np.random.default_rng(0).integers(1, 101, (2000, 8)) / 100
    joint = np.array([joint_p_value(row) for row in p])
    for level in (0.05, 0.2):
        assert 0.5 * level < np.mean(joint <= level) < level


@pytest.mark.parametrize(
    ("tests", "level", "envelope", "rank"), [(8, 0.05, 159, 319), (1, 0.05, 19, 39), (1, 0.5, 1, 3)]
)
def test_seeds_needed(tests: int, level: float, envelope: int, rank: int) -> None:
    """Smallest N with tests / (N + 1), or twice that, at the level."""
    assert seeds_needed(tests, level, smallest_p_value) == envelope
    assert seeds_needed(tests, level, smallest_rank_p_value) == rank


@given(st.integers(1, 300), st.floats(1e-4, 0.9))
def test_seeds_needed_is_where_holm_begins_to_reject(tests: int, level: float) -> None:
    """So many seeds can reject one test of them all, and one seed less can't."""
    seeds = seeds_needed(tests, level, smallest_rank_p_value)
    others = [1.0] * (tests - 1)
    assert holm([smallest_rank_p_value(seeds), *others])[0] <= level
    assert holm([smallest_rank_p_value(seeds - 1), *others])[0] > level


@pytest.mark.parametrize("level", [0, 1, -0.1])
def test_seeds_needed_refuses_what_is_no_level(level: float) -> None:
    """At level 0 no number of seeds would do."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        seeds_needed(8, level, smallest_rank_p_value)


def test_clopper_pearson() -> None:
    """The closed forms at the ends: 1 - (a / 2) ** (1 / n) above 0 successes, mirrored for all."""
    bound = 1 - 0.025 ** (1 / 10)
    assert clopper_pearson(0, 10) == pytest.approx((0, bound))
    assert clopper_pearson(10, 10) == pytest.approx((1 - bound, 1))
    assert clopper_pearson(0, 0) == (0, 1)
    low, high = clopper_pearson(3, 10)
    wider = clopper_pearson(3, 10, level=0.99)
    assert wider[0] < low < 0.3 < high < wider[1]


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0, 1), st.floats(0, 1))
def test_same_rate_p_value(trials: int, other_trials: int, share: float, other: float) -> None:
    """It is SciPy's for Fisher's exact test, and knows no order of the two samples."""
    successes, others = round(share * trials), round(other * other_trials)
    p = same_rate_p_value(successes, trials, others, other_trials)
    table = [[successes, trials - successes], [others, other_trials - others]]
    assert p == pytest.approx(stats.fisher_exact(table).pvalue)
    assert same_rate_p_value(others, other_trials, successes, trials) == pytest.approx(p)


def test_same_rate_p_value_of_very_many() -> None:
    """Four thousand million trials take no longer than the fewer: p is that of a known rate."""
    p = same_rate_p_value(3, 10, 2**31, 2**32)
    assert p == pytest.approx(stats.binomtest(3, 10, 0.5).pvalue, rel=1e-4)


def test_what_is_no_p_value_and_no_count() -> None:
    """Numbers that no test gives are refused, rather than adjusted."""
    for function in (holm, joint_p_value):
        for bad in ([1.5], [-0.1], [[0.1, 0.2]]):
            with pytest.raises(ValueError, match="p-values must be"):
                function(bad)
    assert joint_p_value([0.0, 0.5]) == 0
    for counts in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="successes must be from 0 to 2"):
            clopper_pearson(*counts)
        with pytest.raises(ValueError, match="successes must be from 0 to 2"):
            same_rate_p_value(1, 2, *counts)
    with pytest.raises(ValueError, match="one column"):
        rank_p_value(1, [[1, 2]])
