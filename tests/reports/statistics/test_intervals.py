"""The interval of a difference of means."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind, ttest_rel

from reports.statistics import difference_interval

RNG = np.random.default_rng(0)
AFTER, BEFORE = RNG.normal(1, 2, 12), RNG.normal(0, 1, 12)


def test_pairs_have_students_interval() -> None:
    """With nothing but pairs it is that of the mean difference."""
    found = difference_interval(AFTER, BEFORE, level=0.9, paired=True)
    expected = ttest_rel(AFTER, BEFORE).confidence_interval(0.9)
    assert found[1:] == pytest.approx((expected.low, expected.high))
    assert found.difference == pytest.approx((AFTER - BEFORE).mean())


def test_independent_values_have_welchs_interval() -> None:
    """Without pairs the two variances and numbers may differ; NaN is a missing run."""
    found = difference_interval([*AFTER, np.nan], BEFORE[:7])
    expected = ttest_ind(AFTER, BEFORE[:7], equal_var=False).confidence_interval(0.95)
    assert found[1:] == pytest.approx((expected.low, expected.high))
    alone = difference_interval([*AFTER, *[np.nan] * 7], [*[np.nan] * 12, *BEFORE[:7]], paired=True)
    assert alone == pytest.approx(found)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_pairs_and_others_together_cover_the_difference(correlation: float) -> None:
    """The interval of a mixture contains the true difference as often as it says."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(1000):
        common = np.sqrt(correlation) * rng.normal(size=20)
        after, before = common + np.sqrt(1 - correlation) * rng.normal(size=(2, 20))
        after[:4] = before[-6:] = np.nan
        _, low, high = difference_interval(after + 1, before, paired=True)
        covered += low < 1 < high
    assert covered == pytest.approx(950, abs=25)


def test_equal_values() -> None:
    """Without any spread the interval is the difference, to the last bit."""
    assert difference_interval(AFTER, AFTER, paired=True) == (0, 0, 0)
    assert difference_interval([3, 3, 3], [1, 1]) == (2, 2, 2)


def test_too_little_is_known() -> None:
    """The bounds are NaN for one value on a side and for a diverged run."""
    found = difference_interval([2.0], [1.0, 1.5])
    assert found.difference == 0.75
    assert np.isnan(found[1:]).all()
    assert np.isnan(difference_interval([np.inf, 1, 2], [1, 2])).all()
    assert np.isnan(difference_interval([], [1, 2])).all()


def test_bad_values() -> None:
    """What is no column, and what cannot be paired, is refused."""
    with pytest.raises(ValueError, match="one column"):
        difference_interval([[1, 2]], [1, 2])
    with pytest.raises(ValueError, match="cannot be paired"):
        difference_interval([1, 2, 3], [1, 2], paired=True)
    with pytest.raises(ValueError, match="level must lie"):
        difference_interval([1, 2], [1, 2], level=95)
