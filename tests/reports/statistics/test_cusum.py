"""CUSUM charts and their threshold."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm, t

from reports.statistics.cusum import REFERENCE_VALUE, cusum, standardise, threshold

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


def test_standardise_by_hand() -> None:
    """Two standard errors above, of 16 seeds: the normal value of t = 2 with 15 degrees."""
    got = standardise(np.array([0.85, 0.75]), np.array([0.1, 0.1]), np.array([16, 16]), 0.8)
    tail = t.sf(2, 15)
    np.testing.assert_allclose(norm.sf(got), [tail, 1 - tail], rtol=1e-9)


def test_standardised_are_normal() -> None:
    """Nights of three normal seeds give standard normal values, whatever the spread."""
    draws = 5 + 7 * np.random.default_rng(2).standard_normal((20_000, 3))
    values = standardise(draws.mean(axis=1), draws.std(axis=1, ddof=1), np.full(len(draws), 3), 5)
    for share in (0.001, 0.05, 0.5, 0.9, 0.999):
        got = (norm.cdf(values) < share).mean()
        assert got == pytest.approx(share, abs=4 * (share * (1 - share) / len(values)) ** 0.5)


def test_far_away_is_finite() -> None:
    """A mean that is absurdly far away keeps the charts finite."""
    values = standardise(np.array([1e9, -1e9]), np.full(2, 1e-9), np.full(2, 1000), 0.0)
    assert np.isfinite(values).all()
    assert values[0] == -values[1] > 30
