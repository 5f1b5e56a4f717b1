"""CUSUM charts and their threshold."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, norm

from reports.statistics.cusum import (
    REFERENCE_VALUE,
    cusum,
    rank_score,
    sequential_scores,
    threshold,
)

Array = npt.NDArray[np.float64]
VALUES = arrays(np.float64, st.integers(0, 40), elements=st.floats(-50, 50))


def recursion(values: Array) -> Array:
    """Return the upper chart as Page writes it."""
    chart, last = [], 0.0
    for value in values:
        last = max(0.0, last + value - 0.5)
        chart.append(last)
    return np.array(chart)


def siegmund(level: float) -> float:
    """Return Siegmund's approximation (1985) of a one-sided chart's average run length."""
    b = level + 1.166
    return (math.exp(2 * REFERENCE_VALUE * b) - 2 * REFERENCE_VALUE * b - 1) / (
        2 * REFERENCE_VALUE**2
    )


def run_lengths(level: float, columns: int, grids: int) -> Array:
    """Return how long each of so many grids of charts runs until its first alarm, step by step."""
    generator = np.random.default_rng(1)
    upper, lower = np.zeros((2, grids, columns))
    lengths = np.zeros(grids)
    running = np.ones(grids, dtype=bool)
    while running.any():
        values = generator.standard_normal((int(running.sum()), columns))
        lengths[running] += 1
        upper[running] = np.maximum(0, upper[running] + values - REFERENCE_VALUE)
        lower[running] = np.maximum(0, lower[running] - values - REFERENCE_VALUE)
        running &= ~((upper >= level) | (lower >= level)).any(axis=1)
    return lengths


def test_by_hand() -> None:
    """Values 1, -2, 2, 2 with 0.5: up 0.5, 0, 1.5, 3; down 0, 1.5, 0, 0."""
    upper, lower = cusum(np.array([1.0, -2.0, 2.0, 2.0]))
    np.testing.assert_allclose(upper, [0.5, 0, 1.5, 3])
    np.testing.assert_allclose(lower, [0, 1.5, 0, 0])


def test_reference_value_a_night() -> None:
    """A night's own reference value is taken off that night only, in every column."""
    values = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, -4.0]])
    upper, lower = cusum(values, np.array([[1.0], [2.0], [4.0]]))
    np.testing.assert_allclose(upper, [[2, 0], [3, 0], [2, 0]])
    np.testing.assert_allclose(lower, [[0, 0], [0, 0], [0, 0]])


@given(VALUES)
def test_is_the_recursion(values: Array) -> None:
    """The charts are Page's recursion, of the values and of -values."""
    upper, lower = cusum(values)
    np.testing.assert_allclose(upper, recursion(values), atol=1e-9)
    np.testing.assert_allclose(lower, recursion(-values), atol=1e-9)
    assert (upper >= 0).all()
    assert (lower >= 0).all()


def test_highest() -> None:
    """A chart that has reached its highest falls from there."""
    upper, lower = cusum(np.array([2.5, 2.5, 2.5, -1.0]), highest=3.0)
    np.testing.assert_allclose(upper, [2, 3, 3, 1.5])
    np.testing.assert_allclose(lower, [0, 0, 0, 0.5])


@given(VALUES, st.floats(0, 5))
def test_grows_with_the_values(values: Array, more: float) -> None:
    """What is larger on every night has no lower upper chart and no higher lower one."""
    upper, lower = cusum(values)
    raised = cusum(values + more)
    assert (raised[0] >= upper - 1e-9).all()
    assert (raised[1] <= lower + 1e-9).all()


@pytest.mark.parametrize(("nights", "published"), [(168, 4.0), (370, 4.77), (465, 5.0)])
def test_published_run_lengths(nights: int, published: float) -> None:
    """With k = 1/2 in control, h = 4 runs 168 nights, 4.77 runs 370 and 5 runs 465.

    The values of Montgomery, *Introduction to Statistical Quality Control*, chapter on the CUSUM.
    """
    assert threshold(nights, 1) == pytest.approx(published, abs=0.03)


@pytest.mark.parametrize(("nights", "columns"), [(100, 1), (365, 8), (1095, 32), (1095, 200)])
def test_siegmund(nights: int, columns: int) -> None:
    """The simulated run length is within 5% of Siegmund's approximation."""
    assert siegmund(threshold(nights, columns)) == pytest.approx(2 * columns * nights, rel=0.05)


@pytest.mark.parametrize(("nights", "columns"), [(60, 1), (60, 6), (150, 2)])
def test_run_length_in_control(nights: int, columns: int) -> None:
    """Grids without a change, gone through night by night, alarm as rarely as asked, or rarer."""
    level = threshold(nights, columns)
    lengths = run_lengths(level, columns, grids=4000)
    error = lengths.std() / len(lengths) ** 0.5
    assert lengths.mean() > nights - 3 * error
    # Charts begin at zero, from where they need some nights to alarm.
    assert lengths.mean() < nights + 2 * level + 3 * error


@pytest.mark.parametrize(("nights", "columns"), [(2, 1), (30, 3)])
def test_monotone(nights: int, columns: int) -> None:
    """Rarer alarms and more columns need a higher threshold; nothing is left to chance."""
    level = threshold(nights, columns)
    assert 0 < level < threshold(2 * nights, columns)
    assert threshold(nights, 2 * columns) == threshold(2 * nights, columns)
    threshold.cache_clear()
    assert threshold(nights, columns) == level


@pytest.mark.parametrize(("nights", "columns"), [(1, 1), (10, 0)])
def test_impossible(nights: int, columns: int) -> None:
    """A run length of one night, or no columns, is refused."""
    with pytest.raises(ValueError, match="need at least 2 nights"):
        threshold(nights, columns)


FRESH = np.full(5, np.nan)
NEVER = np.zeros(5, dtype=bool)


def test_rank_score_by_hand() -> None:
    """Of placements 1/2, 0, 1, 1/4 and 3/4, less 1/2 each, nothing is left; of five 1, all is."""
    baseline = np.array([1.0, 2.0])
    score, stays = rank_score(np.array([1.5, 0, 3, 1, 2]), baseline, FRESH, NEVER)
    assert score == pytest.approx(0)
    assert stays == pytest.approx(5 / 3)
    highest, _ = rank_score(np.full(5, 3.0), baseline, FRESH, NEVER)
    assert highest == pytest.approx((3 * 5 * 2 / 3) ** 0.5)


def test_rank_score_is_wilcoxons() -> None:
    """It is the standardised rank sum, but for the variance of the baseline."""
    generator = np.random.default_rng(4)
    values, baseline = generator.standard_normal(5), generator.standard_normal(12)
    score, stays = rank_score(values, baseline, FRESH, NEVER)
    p = mannwhitneyu(values, baseline, method="asymptotic", use_continuity=False).pvalue
    assert 2 * norm.sf(abs(score) / (1 + stays) ** 0.5) == pytest.approx(p)


def test_rank_score_of_skewed_seeds() -> None:
    """Whatever the distribution: mean 0, and the variance 1 + n / (m + 1), of which 1 is noise."""
    draws = -np.random.default_rng(3).lognormal(sigma=2, size=(4000, 25))
    scores = np.array([rank_score(each[:5], each[5:], FRESH, NEVER) for each in draws])
    assert scores[:, 0].mean() == pytest.approx(0, abs=0.07)
    assert scores[:, 0].var() == pytest.approx(1 + 5 / 21, rel=0.1)
    assert scores[:, 1] == pytest.approx(5 / 21)


def test_rank_score_of_repeated_seeds() -> None:
    """Two of five seeds that an earlier night had keep two fifths of the variance."""
    values, baseline = np.arange(5.0), np.arange(20.0)
    once = rank_score(values, baseline, FRESH, NEVER)
    again = rank_score(values, baseline, FRESH, np.arange(5) < 2)
    assert again == (once[0], pytest.approx(once[1] + 2 / 5))


def test_rank_score_of_pairs() -> None:
    """The baseline's own values have no score; a place further each, the same without variance."""
    baseline = np.arange(20.0)
    own = baseline[[3, 4, 5, 11, 19]]
    assert rank_score(own, baseline, own, NEVER) == (0, 0)
    score, stays = rank_score(own - 1, baseline, own, ~NEVER)
    assert score == pytest.approx(-5 / 20 / (5 * 21 / 240) ** 0.5)
    assert stays == pytest.approx(0, abs=1e-12)
    # One place up and one down: the variance of the differences stays.
    moved = own + np.array([1, -1, 1, -1, 0])
    score, stays = rank_score(moved, baseline, own, NEVER)
    assert score == pytest.approx(0)
    assert stays == pytest.approx(5 * (4 / 20**2 / 4) / (5 * 21 / 240))
    # A single pair says nothing of its variance: its seed counts as one that is run again.
    alone = np.where(np.arange(5) == 0, own, np.nan)
    assert rank_score(own, baseline, alone, NEVER) == rank_score(
        own, baseline, FRESH, np.arange(5) == 0
    )


def test_rank_score_against_a_growing_reference() -> None:
    """Whatever the distribution: mean 0, variance 1, and independent of later nights' scores."""
    draws = -np.random.default_rng(3).lognormal(sigma=2, size=(4000, 25))
    scores = [
        (rank_score(each[15:20], each[:15], FRESH, NEVER, growing=True)[0],
         rank_score(each[20:], each[:20], FRESH, NEVER, growing=True)[0])
        for each in draws
    ]  # fmt: skip
    assert np.mean(scores, axis=0) == pytest.approx(0, abs=0.07)
    assert np.cov(*np.transpose(scores)) == pytest.approx(np.eye(2), abs=0.07)
    assert rank_score(draws[0][:5], draws[0][5:], FRESH, NEVER, growing=True)[1] == 0


def test_repeated_seeds_against_a_growing_reference() -> None:
    """Two of five seeds that an earlier night had keep two fifths of the variance, and more.

    Their share of the reference's variance stays too.
    """
    values, reference = np.arange(5.0), np.arange(20.0)
    again = np.arange(5) < 2
    score, stays = rank_score(values, reference, FRESH, again, growing=True)
    once, _ = rank_score(values, reference, FRESH, NEVER, growing=True)
    assert score == pytest.approx(once * (26 / 24) ** 0.5)
    assert stays == pytest.approx(2 / 5 + 4 / (5 * 21))


def test_sequential_scores_by_hand() -> None:
    """The highest of three has the place 5/6, a tie with the lowest of four 1/4; the first none."""
    scores = sequential_scores(np.array([1.0, 2.0, 3.0, 1.0]), first=2)
    assert norm.cdf(scores) == pytest.approx([0.5, 0.5, 5 / 6, 1 / 4])
    # A change does not become normal: of two values that both are beyond those before it.
    assert sequential_scores(np.array([1.0, 2, 9, 9]), 2, until=2)[2:] == pytest.approx(
        norm.ppf([5 / 6, 5 / 6])
    )


def test_sequential_scores_of_any_distribution() -> None:
    """Whatever the distribution, they are independent, of mean 0 and a variance just below 1."""
    draws = np.random.default_rng(5).standard_cauchy((3000, 22))
    scores = np.array([sequential_scores(each, first=20)[20:] for each in draws])
    assert scores.mean(axis=0) == pytest.approx(0, abs=0.06)
    assert np.cov(scores.T) == pytest.approx(0.92 * np.eye(2), abs=0.07)
