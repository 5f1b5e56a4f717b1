"""Planning: how many seeds it takes to see a fall of the mean."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from reports.statistics.permutation import max_t_test
from reports.statistics.power import (
    MOST_SEEDS,
    POWER,
    seeds_for_drop,
    smallest_visible_drop,
    smallest_visible_drop_of_pairs,
)
from reports.statistics.tolerance import corrected_level

Array = npt.NDArray[np.float64]
UNIT = np.array([-1.0, 1.0, 0.0])
"""Values of standard deviation 1."""
LEVEL = 0.05
Z = 1.644854
"""The upper 5% quantile of the standard normal."""


def accuracies(count: int, seed: int = 0) -> Array:
    """Return accuracies as a model's seeds have them: near 0.6, with a tail of poor runs."""
    return 0.65 - 0.1 * np.random.default_rng(seed).beta(2, 5, count)


NORMAL = norm.ppf((np.arange(1000) + 0.5) / 1000)
"""Values of a standard normal distribution."""


def test_smallest_visible_drop_of_normal_values() -> None:
    """One column: z / sqrt(n) of the night, z / sqrt(m) of the baseline, and z_power for both.

    The rank sum of normal values is as good as a mean of 3 / pi as many.
    """
    drop = smallest_visible_drop(NORMAL, night=1000, baseline=250, level=LEVEL, power=0.95)
    of_means = Z / math.sqrt(1000) + Z / math.sqrt(250) + Z * math.sqrt(1 / 1000 + 1 / 250)
    assert drop == pytest.approx(of_means * math.sqrt(math.pi / 3), rel=0.01)
    in_points = smallest_visible_drop(
        100 * NORMAL, night=1000, baseline=250, level=LEVEL, power=0.95
    )
    assert in_points == pytest.approx(100 * drop)


def test_few_values_are_smoothed() -> None:
    """Three values stand for a distribution of their mean and variance, not for three atoms."""
    few = smallest_visible_drop(UNIT, night=100, baseline=100, level=LEVEL)
    many = smallest_visible_drop(NORMAL, night=100, baseline=100, level=LEVEL)
    assert few == pytest.approx(many, rel=0.1)


def test_two_sides_are_two_columns() -> None:
    """A test of one column to both sides asks for as much as one of two columns to one."""
    options = {"night": 100, "baseline": 25, "level": LEVEL}
    both = smallest_visible_drop(NORMAL, two_sided=True, **options)
    assert both == smallest_visible_drop(NORMAL, columns=2, **options)
    assert both > smallest_visible_drop(NORMAL, **options)
    # Of six labellings of two against two the extreme ones are two.
    least = {"night": 4, "baseline": 4, "level": 0.02, "confidence": 0.5}
    assert math.comb(8, 4) * 0.02 < 2
    assert smallest_visible_drop(UNIT, **least) < math.inf
    assert smallest_visible_drop(UNIT, two_sided=True, **least) == math.inf


def test_what_is_just_visible_is_seen() -> None:
    """All that is asked for is asked for in both directions."""
    for changes in ({}, {"power": 0.6}, {"confidence": 0.7}, {"columns": 3}):
        options = {"level": LEVEL, "baseline": 40} | changes
        drop = smallest_visible_drop(UNIT, night=30, **options)
        assert seeds_for_drop(UNIT, drop, **options) == 30


def test_a_small_baseline_bounds_what_can_be_seen() -> None:
    """Against m seeds nothing smaller than 2 z / sqrt(m) is visible, however large the night."""
    bound = 2 * Z / 5
    assert seeds_for_drop(UNIT, 0.99 * bound, level=LEVEL, power=0.95, baseline=25) is None
    seeds = seeds_for_drop(UNIT, 1.05 * bound, level=LEVEL, power=0.95, baseline=25)
    assert seeds is not None
    assert seeds < MOST_SEEDS


def test_too_few_to_permute() -> None:
    """Three against three can be labelled in 20 ways: no p-value reaches a level below 1 / 20."""
    assert smallest_visible_drop(UNIT, night=3, baseline=3, level=LEVEL) == math.inf
    assert smallest_visible_drop(UNIT, night=1, baseline=10**4, level=LEVEL) == math.inf
    assert seeds_for_drop(UNIT, 1e6, level=LEVEL) == 5
    assert math.comb(10, 5) * 0.01 > 1 > math.comb(8, 4) * 0.01
    constant = np.full(9, 0.5)
    assert seeds_for_drop(constant, 1e-9, level=LEVEL, baseline=1000) == 2
    assert smallest_visible_drop(constant, night=30, baseline=30, level=LEVEL) == 0


def test_diverged_runs_are_left_out() -> None:
    """NaN and infinity have no part in the spread, and two finite values must remain."""
    drop = smallest_visible_drop(UNIT, night=9, baseline=9, level=LEVEL)
    with_diverged = [*UNIT, float("nan"), float("inf")]
    assert smallest_visible_drop(with_diverged, night=9, baseline=9, level=LEVEL) == drop


@settings(deadline=None)
@given(
    st.floats(0.05, 3), st.integers(5, 300) | st.none(), st.sampled_from([1, 4]), st.integers(0, 99)
)
def test_the_two_are_inverse(drop: float, baseline: int | None, columns: int, seed: int) -> None:
    """A drop is visible with the seeds that are needed for it, and not with one less."""
    values = np.random.default_rng(seed).permutation([-1.0, 0, 1, 2, 0.5])

    def visible(night: int) -> float:
        return smallest_visible_drop(
            values, night=night, baseline=baseline or night, level=LEVEL, columns=columns
        )

    seeds = seeds_for_drop(values, drop, level=LEVEL, baseline=baseline, columns=columns)
    if seeds is None:
        assert visible(MOST_SEEDS) > drop
    else:
        assert visible(seeds) <= drop < visible(seeds - 1)


@settings(deadline=None)
@given(st.integers(10, 200), st.integers(10, 200), st.sampled_from([1, 4]))
def test_monotone(night: int, baseline: int, columns: int) -> None:
    """More seeds see less; more power, more columns or fewer false alarms ask for more."""

    def visible(night: int, baseline: int, columns: int, level: float, power: float) -> float:
        return smallest_visible_drop(
            UNIT, night=night, baseline=baseline, columns=columns, level=level, power=power
        )

    drop = visible(night, baseline, columns, 0.05, 0.9)
    assert visible(night + 5, baseline, columns, 0.05, 0.9) < drop
    assert visible(night, baseline + 5, columns, 0.05, 0.9) < drop
    assert visible(night, baseline, columns + 1, 0.05, 0.9) > drop
    assert visible(night, baseline, columns, 0.04, 0.9) > drop
    assert visible(night, baseline, columns, 0.05, 0.95) > drop


@pytest.mark.parametrize(("night", "baseline"), [(6, 100), (20, 100)])
@pytest.mark.parametrize("skew", [-1, 1])
def test_power_by_simulation(night: int, baseline: int, skew: int) -> None:
    """Nights of a skewed model are suspected as often as promised, whichever way it is skewed.

    Each drop is estimated from its own baseline, as a verdict does, and the columns are dependent.
    """
    generator = np.random.default_rng(0)
    corrected = corrected_level(LEVEL, night=night, baseline=baseline, columns=8)
    pool = skew * np.exp(0.5 * generator.standard_normal((1000, 4)))
    alarms = []
    for _ in range(150):
        before, tonight = (pool[generator.integers(0, 1000, n)] for n in (baseline, night))
        tonight[:, 0] -= smallest_visible_drop(
            before[:, 0],
            night=night,
            baseline=baseline,
            level=LEVEL,
            columns=4,
            two_sided=True,
        )
        result = max_t_test(-tonight, -before, permutations=499, two_sided=True)
        alarms.append(result.p_values[0] <= corrected)
    assert np.mean(alarms) >= POWER - 0.06  # 2.5 standard errors


def test_errors() -> None:
    """A rise, a spread of nothing and a power of chance are refused."""
    with pytest.raises(ValueError, match="drop must be positive"):
        seeds_for_drop(UNIT, 0, level=LEVEL)
    with pytest.raises(ValueError, match="two finite values"):
        smallest_visible_drop([0.5, float("nan")], night=9, baseline=9, level=LEVEL)
    with pytest.raises(ValueError, match="power must be"):
        smallest_visible_drop(UNIT, night=9, baseline=9, level=LEVEL, power=1)


def pairs_of(count: int, seed: int = 0, correlation: float = 0.9) -> tuple[Array, Array]:
    """Return pairs of normal values that are so correlated, of standard deviation 1."""
    rng = np.random.default_rng(seed)
    common = math.sqrt(correlation) * rng.standard_normal(count)
    own = math.sqrt(1 - correlation) * rng.standard_normal((2, count))
    return common + own[0], common + own[1]


@pytest.mark.parametrize("two_sided", [False, True])
def test_pairs_see_their_drop(*, two_sided: bool) -> None:
    """Other pairs that fell by the drop of a large sample are found in nine cases of ten."""
    count, night, baseline = 40, *pairs_of(4000, 1)
    of_many = smallest_visible_drop_of_pairs(night, baseline, level=LEVEL, two_sided=two_sided)
    drop = of_many * math.sqrt(4000 / count)
    found = 0
    for seed in range(300):
        after, before = pairs_of(count, 10 + seed)
        test = max_t_test(
            -(after - drop)[:, None], -before[:, None],
            paired=True, two_sided=two_sided, permutations=499,
        )  # fmt: skip
        found += test.p_value <= LEVEL
    assert found / 300 == pytest.approx(POWER, abs=0.06)


def test_drop_of_pairs_has_the_values_unit() -> None:
    """A hundred times the values has a hundred times the drop; more columns need a larger one."""
    night, baseline = pairs_of(20)
    drop = smallest_visible_drop_of_pairs(night, baseline, level=LEVEL)
    in_points = smallest_visible_drop_of_pairs(100 * night + 3, 100 * baseline, level=LEVEL)
    assert in_points == pytest.approx(100 * drop, rel=1e-5)
    assert smallest_visible_drop_of_pairs(night, baseline, level=LEVEL, columns=9) > drop
    with_diverged = [np.append(values, np.inf) for values in (night, baseline)]
    assert smallest_visible_drop_of_pairs(*with_diverged, level=LEVEL) == drop


def test_drop_of_few_pairs() -> None:
    """Five pairs can be arranged in 32 ways, of which two are extreme: too few for both sides."""
    night, baseline = pairs_of(5)
    assert smallest_visible_drop_of_pairs(night, baseline, level=LEVEL) < math.inf
    assert smallest_visible_drop_of_pairs(night, baseline, level=LEVEL, two_sided=True) == math.inf
    assert smallest_visible_drop_of_pairs(np.ones(9), np.ones(9), level=LEVEL) == 0


def test_bad_pairs() -> None:
    """Values that are no pairs, and numbers that are none of a test, are refused."""
    for values, what in (
        (([1, 2], [1, 2, 3]), "two equal columns"),
        (([1, math.nan], [1, 2]), "two finite pairs"),
    ):
        with pytest.raises(ValueError, match=what):
            smallest_visible_drop_of_pairs(*values, level=LEVEL)
    for options, what in (
        ({"level": 5}, "level must lie"),
        ({"level": LEVEL, "power": 1}, "power must be"),
        ({"level": LEVEL, "columns": 0}, "columns must be"),
    ):
        with pytest.raises(ValueError, match=what):
            smallest_visible_drop_of_pairs([1, 2], [1, 3], **options)
    with pytest.raises(ValueError, match="one column"):
        smallest_visible_drop([[1, 2]], night=9, baseline=9, level=LEVEL)
