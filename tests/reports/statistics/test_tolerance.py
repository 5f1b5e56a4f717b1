"""The correction for a baseline's own seed variance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from reports.statistics import tolerance
from reports.statistics.tolerance import corrected_level

Array = npt.NDArray[np.float64]


def test_by_hand() -> None:
    """With z = 1.645 for both: c = 2 z / sqrt(2) at n = m, and 1.5 z / sqrt(1.25) at m = 4 n."""
    assert corrected_level(0.05, night=30, baseline=30, columns=1) == pytest.approx(
        norm.sf(2 * 1.644854 / np.sqrt(2)), rel=1e-5
    )
    assert corrected_level(0.05, night=30, baseline=30, columns=1) == pytest.approx(0.01, abs=1e-5)
    assert corrected_level(0.05, night=25, baseline=100, columns=1) == pytest.approx(
        norm.sf(1.5 * 1.644854 / np.sqrt(1.25)), rel=1e-5
    )


def test_never_above_the_level() -> None:
    """The level is not raised where half the baselines may be unlucky or the night is huge."""
    assert corrected_level(0.05, night=10, baseline=30, columns=1, confidence=0.5) == 0.05
    assert corrected_level(0.01, night=3000, baseline=30, columns=1) == 0.01
    assert corrected_level(0.01, night=3000, baseline=30, columns=8) == 0.01


@pytest.mark.parametrize("columns", [1, 8])
def test_a_large_baseline_has_no_seed_variance(columns: int) -> None:
    """The correction vanishes as the baseline grows."""
    levels = [
        corrected_level(0.05, night=20, baseline=20 * 10**i, columns=columns) for i in (2, 4, 6)
    ]
    assert levels == sorted(levels)
    assert levels[-1] == pytest.approx(0.05, abs=5e-4)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.001, 0.2), st.floats(0.6, 0.99))
def test_monotone(night: int, baseline: int, level: float, confidence: float) -> None:
    """More seeds lower the difference that alarms; more confidence, or a lower level, the level."""

    def corrected(night: int, baseline: int, level: float, confidence: float) -> float:
        return corrected_level(
            level, night=night, baseline=baseline, columns=1, confidence=confidence
        )

    def alarms_beyond(night: int, baseline: int) -> float:
        nominal = corrected(night, baseline, level, confidence)
        return float(norm.isf(nominal) * np.sqrt(1 / night + 1 / baseline))

    own = corrected(night, baseline, level, confidence)
    assert 0 < own <= level
    assert alarms_beyond(night, baseline + 1) < alarms_beyond(night, baseline)
    assert alarms_beyond(night + 1, baseline) < alarms_beyond(night, baseline)
    assert corrected(night, baseline, level, confidence + 0.009) <= own
    assert corrected(night, baseline, level * 0.9, confidence) < own
    worst = night * (norm.isf(level) / norm.ppf(confidence)) ** 2
    if baseline >= worst:
        assert corrected(night, baseline + 1, level, confidence) >= own


@pytest.mark.parametrize(("night", "baseline"), [(20, 40), (40, 40), (150, 40)])
def test_columns_can_only_lower_it(night: int, baseline: int) -> None:
    """The level for many columns is never above the level for one."""
    levels = [
        corrected_level(0.01, night=night, baseline=baseline, columns=k) for k in (1, 2, 8, 32)
    ]
    assert max(levels) == levels[0]
    assert (night < baseline) == (min(levels) == levels[0])


@pytest.mark.parametrize("ratio", [0.1, 1, 4])
def test_one_independent_column_has_a_formula(ratio: float) -> None:
    """For one column the grid computation equals the closed formula."""
    on_grid = tolerance._critical_value_of_independent(0.05, ratio, 0.95, 1)
    assert on_grid == pytest.approx(tolerance._critical_value(0.05, ratio, 0.95), rel=3e-7)


@pytest.mark.parametrize(("level", "night"), [(0.01, 40), (0.01, 150), (1 / 365, 150)])
def test_independent_columns_by_drawing_baselines(level: float, night: int) -> None:
    """The alarm rate's 95% quantile over drawn baselines is the level."""
    corrected = corrected_level(level, night=night, baseline=40, columns=8)
    critical, ratio = norm.isf(1 - (1 - corrected) ** (1 / 8)), night / 40
    seed_variance = np.random.default_rng(0).standard_normal((50_000, 8))
    shifted = critical * np.sqrt(1 + ratio) - seed_variance * np.sqrt(ratio)
    rates = 1 - norm.cdf(shifted).prod(axis=1)
    assert np.quantile(rates, 0.95) == pytest.approx(level, rel=0.05)


def normal_means(rows: int, columns: int, correlation: float, seed: int) -> Array:
    """Return standard normal rows, all of whose columns have this correlation."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal((rows, 1)) * np.sqrt(correlation)
    return common + generator.standard_normal((rows, columns)) * np.sqrt(1 - correlation)


def alarm_rates(nominal: float, night: int, baseline: int, columns: int, rho: float) -> Array:
    """Return for each of 500 baselines the share of 8000 nights that alarm at the nominal level."""
    critical = np.quantile(normal_means(100_000, columns, rho, 0).max(axis=1), 1 - nominal)
    beyond = critical * np.sqrt(1 / night + 1 / baseline)
    baselines = normal_means(500, columns, rho, 1) / np.sqrt(baseline)
    nights = normal_means(8000, columns, rho, 2) / np.sqrt(night)
    return np.array([((nights - own) > beyond).any(axis=1).mean() for own in baselines])


@pytest.mark.parametrize(("night", "baseline"), [(20, 40), (100, 40)])
@pytest.mark.parametrize(("columns", "rho"), [(1, 0), (8, 1), (8, 0), (8, 0.5)])
def test_guarantee(night: int, baseline: int, columns: int, rho: float) -> None:
    """At the corrected level, 95% of baselines alarm in at most 5% of nights; at 5% they do not."""
    level = corrected_level(0.05, night=night, baseline=baseline, columns=columns)
    kept = np.mean(alarm_rates(level, night, baseline, columns, rho) <= 0.05)
    assert kept == pytest.approx(0.95, abs=0.03)
    uncorrected = np.mean(alarm_rates(0.05, night, baseline, columns, rho) <= 0.05)
    assert uncorrected < 0.86


def test_errors() -> None:
    """Invalid numbers of seeds or columns, levels and confidences are refused."""
    for sizes in ((0, 5, 1), (5, 0, 1), (5, 5, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            corrected_level(0.05, night=sizes[0], baseline=sizes[1], columns=sizes[2])
    for level, confidence in ((0, 0.95), (0.5, 0.95), (0.05, 0.4), (0.05, 1)):
        with pytest.raises(ValueError, match="must lie between"):
            corrected_level(level, night=5, baseline=5, columns=1, confidence=confidence)
