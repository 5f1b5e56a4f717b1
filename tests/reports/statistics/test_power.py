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
from reports.statistics.power import MOST_SEEDS, seeds_for_drop, smallest_visible_drop
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


def test_smallest_visible_drop_by_hand() -> None:
    """One column: z / sqrt(n) of the night, z / sqrt(m) of the baseline, and z_power for both."""
    drop = smallest_visible_drop(UNIT, night=100, baseline=25, level=LEVEL, power=0.95)
    assert drop == pytest.approx(Z / 10 + Z / 5 + Z * math.sqrt(1 / 100 + 1 / 25), rel=1e-5)
    in_points = smallest_visible_drop(100 * UNIT, night=100, baseline=25, level=LEVEL, power=0.95)
    assert in_points == pytest.approx(100 * drop)


def test_seeds_for_drop_by_hand() -> None:
    """With n on either side (2 + sqrt(2)) z / sqrt(n) is visible: a drop of 1/2 with 127."""
    assert ((2 + math.sqrt(2)) * Z / 0.5) ** 2 == pytest.approx(126.15, abs=0.01)
    assert seeds_for_drop(UNIT, 0.5, level=LEVEL, power=0.95) == 127


def test_columns_share_the_corrected_level() -> None:
    """Each column gets a share of the level, so that the family keeps its level."""
    drop = smallest_visible_drop(UNIT, night=100, baseline=25, level=0.01, power=0.5, columns=8)
    critical = drop / math.sqrt(1 / 100 + 1 / 25)
    allowed = corrected_level(0.01, night=100, baseline=25, columns=8)
    assert 1 - norm.cdf(critical) ** 8 == pytest.approx(allowed)
    assert allowed < 0.9 * corrected_level(0.01, night=100, baseline=25, columns=1)


def test_what_is_just_visible_is_seen() -> None:
    """The drop that 30 seeds just show needs 30 seeds, whatever the options."""
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
    """NaN and infinity do not count in the spread, and two finite values must remain."""
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
    """More seeds show smaller drops; power, columns and fewer false alarms cost seeds."""

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


def test_power_by_simulation() -> None:
    """Nights of resampled accuracies that fell by the drop alarm as often as promised."""
    values, drop, baseline = accuracies(100), 0.01, 60
    night = seeds_for_drop(values, drop, level=LEVEL, baseline=baseline)
    assert night is not None
    corrected = corrected_level(LEVEL, night=night, baseline=baseline, columns=1)
    generator = np.random.default_rng(1)
    nights = generator.choice(values, (20_000, night)).mean(axis=1)
    baselines = generator.choice(values, (20_000, baseline)).mean(axis=1)
    beyond = norm.isf(corrected) * values.std() * math.sqrt(1 / night + 1 / baseline)
    assert np.mean(baselines - (nights - drop) > beyond) == pytest.approx(0.9, abs=0.015)
    assert np.mean(baselines - nights > beyond) == pytest.approx(corrected, abs=0.004)


def test_power_of_the_permutation_test() -> None:
    """The rank test over a grid finds a fall in one column as often as planned."""
    values, drop, baseline, columns = accuracies(100), 0.01, 80, 4
    night = seeds_for_drop(values, drop, level=LEVEL, baseline=baseline, columns=columns)
    assert night is not None
    corrected = corrected_level(LEVEL, night=night, baseline=baseline, columns=columns)
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        tonight = generator.choice(values, (night, columns)) - [drop, 0, 0, 0]
        before = generator.choice(values, (baseline, columns))
        alarms += max_t_test(-tonight, -before, permutations=999).p_values[0] <= corrected
    assert alarms / 200 == pytest.approx(0.9, abs=0.06)


def test_errors() -> None:
    """A rise, a zero spread and a power no better than chance are refused."""
    with pytest.raises(ValueError, match="drop must be positive"):
        seeds_for_drop(UNIT, 0, level=LEVEL)
    with pytest.raises(ValueError, match="two finite values"):
        smallest_visible_drop([0.5, float("nan")], night=9, baseline=9, level=LEVEL)
    with pytest.raises(ValueError, match="power must be"):
        smallest_visible_drop(UNIT, night=9, baseline=9, level=LEVEL, power=1)
