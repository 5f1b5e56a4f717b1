"""The global envelope test by extreme rank length."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.envelope import (
    area_measures,
    area_p_value,
    envelope_p_value,
    extreme_rank_lengths,
    global_envelope,
    p_values_of_each,
    smallest_p_value,
)

Array = npt.NDArray[np.float64]
NAN = float("nan")


@st.composite
def tables(draw: Any, *, least: int = 1, tied: bool = True) -> Array:
    """Return a few curves at a few points: many ties and some NaN, or no ties."""
    n, d, seed = draw(st.integers(least, 12)), draw(st.integers(1, 4)), draw(st.integers(0, 10**6))
    generator = np.random.default_rng(seed)
    if not tied:
        return generator.standard_normal((n, d))
    values = generator.integers(0, draw(st.integers(1, 6)), (n, d)).astype(float)
    values[generator.random((n, d)) < draw(st.sampled_from([0, 0.2]))] = NAN
    return values


def by_definition(curves: Array) -> list[float]:
    """Return the extreme rank lengths by counting, one pair at a time."""
    values = np.where(np.isnan(curves), np.inf, curves).tolist()
    columns = list(zip(*values, strict=True))

    def ranks(curve: list[float]) -> list[float]:
        from_below = [
            1 + sum(v < x for v in column) + (sum(v == x for v in column) - 1) / 2
            for x, column in zip(curve, columns, strict=True)
        ]
        return sorted(min(rank, len(values) + 1 - rank) for rank in from_below)

    sequences = [ranks(curve) for curve in values]
    return [sum(other <= own for other in sequences) / len(values) for own in sequences]


@pytest.mark.parametrize(
    ("curves", "expected"),
    [
        # Ranks from the nearer end: (1, 1), (2, 2), (3, 3), (1, 2), (1, 2).
        ([[1, 1], [2, 2], [3, 3], [4, 5], [5, 4]], [0.2, 0.8, 1, 0.6, 0.6]),
        # A tie shares its ranks 1 and 2: 1.5, 1.5, and 1 from above.
        ([[1], [1], [2]], [1, 1, 1 / 3]),
        # Two NaN share the ranks 3 and 4, and infinity would be a third.
        ([[0], [1], [NAN], [NAN]], [0.25, 1, 0.75, 0.75]),
        ([[0], [1], [2], [NAN], [np.inf]], [0.2, 0.8, 1, 0.6, 0.6]),
        # What is alike at a point says nothing there.
        ([[5, 1], [5, 2], [5, 3]], [2 / 3, 1, 2 / 3]),
        ([[7, 7]], [1]),
    ],
)
def test_extreme_rank_lengths(curves: list[list[float]], expected: list[float]) -> None:
    """The shares are those that one works out by hand."""
    assert extreme_rank_lengths(curves) == pytest.approx(expected)


@given(tables())
def test_extreme_rank_lengths_by_definition(curves: Array) -> None:
    """They are what counting pair by pair gives, ties and NaN included."""
    assert extreme_rank_lengths(curves).tolist() == by_definition(curves)


@given(tables(), st.integers(0, 10**6))
def test_extreme_rank_lengths_properties(curves: Array, seed: int) -> None:
    """They lie in (0, 1], go with their curves, and know neither order, unit nor sign of points."""
    generator = np.random.default_rng(seed)
    lengths = extreme_rank_lengths(curves)
    assert (lengths > 0).all()
    assert lengths.max() == 1
    rows = generator.permutation(len(curves))
    points = generator.permutation(curves.shape[1])
    assert (extreme_rank_lengths(curves[rows]) == lengths[rows]).all()
    assert (extreme_rank_lengths(curves[:, points]) == lengths).all()
    assert (
        extreme_rank_lengths(np.exp(curves) * [1, 10, 100, 1000][: len(points)]) == lengths
    ).all()
    assert (extreme_rank_lengths(-np.nan_to_num(curves, nan=99)) == lengths).all()


def area_by_definition(curves: Array) -> list[float]:
    """Return the area measures, one value at a time."""
    values = np.where(np.isnan(curves), np.inf, curves).tolist()
    n = len(values)

    def continuous_rank(x: float, column: list[float]) -> float:
        y = sorted(column)
        place, ties = y.index(x), y.count(x)
        if ties > 1 or n < 3:
            return place + ties / 2
        if place == 0:
            return math.exp(-(y[1] - y[0]) / (y[-1] - y[1])) if y[-1] > y[1] else 0
        if place == n - 1:
            gap = y[-1] - y[-2]
            return n - (math.exp(-gap / (y[-2] - y[0])) if y[-2] > y[0] else 0)
        return place + (y[place] - y[place - 1]) / (y[place + 1] - y[place - 1])

    columns = list(zip(*values, strict=True))
    measures = []
    for curve in values:
        below = [continuous_rank(x, list(c)) for x, c in zip(curve, columns, strict=True)]
        ranks = [min(rank, n - rank) for rank in below]
        extreme = math.ceil(min(ranks))
        area = sum(extreme - rank for rank in ranks if rank <= extreme)
        measures.append(extreme - area / len(curve))
    return measures


@given(tables())
def test_area_measures_by_definition(curves: Array) -> None:
    """They are what the definition gives for one value after the other, ties and NaN included."""
    assert area_measures(curves) == pytest.approx(area_by_definition(curves))


def test_area_measures_by_hand() -> None:
    """At one point, the middle of three lies a third of the way up; the ends by their gaps."""
    # Continuous ranks from below: exp(-1 / 2), 1 + 1 / 3, 3 - exp(-2 / 1).
    ends = [math.exp(-1 / 2), math.exp(-2)]
    assert area_measures([[0], [1], [3]]) == pytest.approx([ends[0], 4 / 3, ends[1]])
    # NaN is infinitely far from both others, which are close to each other.
    assert area_measures([[0], [0.1], [NAN]]).tolist() == [1, 1, 0]
    # A gap of 49 others is exp(-49) from the end, whichever end it is at.
    for sign in (1, -1):
        assert area_measures([[0, 0], [sign * 49, 1], [sign * 50, 2]])[0] == pytest.approx(
            1 - (1 - math.exp(-1)) / 2 - 1 / 2
        )
    # At a second point all are tied at 1.5, so that only half of the first point's area counts.
    halved = [1 - (1 - ends[0]) / 2, 2 - (2 / 3 + 1 / 2) / 2, 1 - (1 - ends[1]) / 2]
    assert area_measures([[0, 5], [1, 5], [3, 5]]) == pytest.approx(halved)


@given(tables(tied=False), st.integers(0, 10**6))
def test_area_measures_properties(curves: Array, seed: int) -> None:
    """They go with their curves, and know neither order, unit nor sign of points."""
    generator = np.random.default_rng(seed)
    measures = area_measures(curves)
    rows = generator.permutation(len(curves))
    points = generator.permutation(curves.shape[1])
    assert area_measures(curves[rows]) == pytest.approx(measures[rows])
    assert area_measures(curves[:, points]) == pytest.approx(measures)
    assert area_measures(-curves * [1, 8, 64, 512][: len(points)]) == pytest.approx(measures)


def test_area_p_values_keep_their_level() -> None:
    """Of exchangeable curves each has one of the p-values 1 / n to 1; few curves say nothing."""
    curves = np.random.default_rng(0).standard_normal((40, 12)).cumsum(axis=1)
    ps = [area_p_value(curves[i], np.delete(curves, i, axis=0)) for i in range(len(curves))]
    assert sorted(ps) == pytest.approx(np.arange(1, 41) / 40)
    assert area_p_value([1, 2], np.empty((0, 2))) == area_p_value([1, 2], [[9, 9]]) == 1
    assert area_p_value(np.full(12, NAN), curves) == smallest_p_value(40)


def test_area_counts_distances() -> None:
    """Of two curves with the same ranks the one that is further out has the smaller p-value."""
    sample = np.random.default_rng(1).standard_normal((99, 8))
    near, far = (sample.max(axis=0) + further for further in (1e-3, 1e3))
    assert envelope_p_value(near, sample) == envelope_p_value(far, sample)
    assert area_measures(np.vstack([near, sample]))[0] > area_measures(np.vstack([far, sample]))[0]


def test_lengths_of_untied_curves_are_all_different() -> None:
    """Each of 1 / n to 1 is taken once: among exchangeable curves the p-value is uniform."""
    curves = np.random.default_rng(0).standard_normal((200, 12)).cumsum(axis=1)
    assert sorted(extreme_rank_lengths(curves)) == pytest.approx(np.arange(1, 201) / 200)


def test_p_values_keep_their_level() -> None:
    """Under the null, of rounded curves with ties, p <= a in a share a of cases, never in more."""
    generator = np.random.default_rng(0)
    draws = np.round(3 * generator.standard_normal((2000, 20, 6)).cumsum(axis=2))
    ps = np.array([extreme_rank_lengths(curves)[0] for curves in draws])
    for level in (0.05, 0.1, 0.5):
        assert np.mean(ps <= level) == pytest.approx(level, abs=3.5 * np.sqrt(level / 2000))


@given(tables(least=2))
def test_p_values(curves: Array) -> None:
    """One curve, or each of several, is judged as one more among the sample alone."""
    observed, sample = curves[:2], curves[2:]
    expected = [by_definition(np.vstack([curve, sample]))[0] for curve in observed]
    assert p_values_of_each(observed, sample).tolist() == expected
    assert [envelope_p_value(curve, sample) for curve in observed] == expected


def test_p_values_without_seeds() -> None:
    """Without a sample, or with one seed, there is nothing to be extreme among."""
    assert envelope_p_value([1, 2], np.empty((0, 2))) == 1
    assert p_values_of_each([[1, 2]], np.empty((0, 2))).tolist() == [1]
    assert envelope_p_value([1, 2], [[9, 9]]) == 1
    assert p_values_of_each(np.empty((0, 2)), [[9, 9]]).shape == (0,)


def test_smallest_p_value_is_reached() -> None:
    """A curve beyond all others, at more points than any other, has it."""
    sample = np.random.default_rng(0).random((60, 5))
    assert envelope_p_value(np.full(5, 2), sample) == smallest_p_value(60) == 1 / 61
    assert envelope_p_value(np.full(5, NAN), sample) == smallest_p_value(60)


@given(tables(tied=False), st.floats(0, 2), st.floats(0, 2))
def test_p_value_is_monotone(sample: Array, near: float, further: float) -> None:
    """A curve above the median that moves on upwards never gets a larger p-value."""
    start = np.median(sample, axis=0) + 1e-9
    shifted = start + np.array([[near], [near + further]])
    near_p, further_p = p_values_of_each(shifted, sample)
    assert further_p <= near_p


@given(tables(), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_global_envelope(curves: Array, level: float) -> None:
    """Who is outside is rejected; who is rejected is outside, or on a bound with a tie."""
    low, high = global_envelope(curves[1:], level, observed=curves[0])
    values = np.where(np.isnan(curves), np.inf, curves)
    outside = ((values < low) | (values > high)).any(axis=1)
    on_a_bound = ((values == low) | (values == high)).any(axis=1)
    rejected = np.array(by_definition(curves)) <= round(1 - level, 3)
    assert not (outside & ~rejected).any()
    assert (outside | on_a_bound)[rejected].all()


@given(tables(tied=False), st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_global_envelope_without_ties(curves: Array, level: float) -> None:
    """Without ties outside and rejected are the same, for every curve that was ranked."""
    low, high = global_envelope(curves, level)
    outside = ((curves < low) | (curves > high)).any(axis=1)
    assert (outside == (np.array(by_definition(curves)) <= round(1 - level, 3))).all()


def test_global_envelope_by_hand() -> None:
    """Of ten levels the two outermost, tied, go at 80%; at 90% neither does; NaN is outermost."""
    sample = np.arange(10.0)[:, np.newaxis]
    assert np.ravel(global_envelope(sample, 0.8)).tolist() == [1, 8]
    assert np.ravel(global_envelope(sample, 0.9)).tolist() == [0, 9]
    assert np.ravel(global_envelope(sample[1:], 0.8, observed=[NAN])).tolist() == [2, 9]


def test_global_envelope_rejects_at_its_level() -> None:
    """1 of 10 is rejected at 90%, although 1 - 0.9 falls short of 0.1 in floating point."""
    curves = [[i, i] for i in range(9)] + [[100, -100]]
    low, high = global_envelope(curves[:-1], 0.9, observed=curves[-1])
    assert (low.tolist(), high.tolist()) == ([0, 0], [8, 8])


def test_global_envelope_of_too_few() -> None:
    """Where nothing can be rejected the observed curve is enclosed."""
    low, high = global_envelope([[1.0], [2.0]], observed=[9.0])
    assert (low, high) == (1, 9)


def test_errors() -> None:
    """What is no table of curves, and what is no level, is refused."""
    with pytest.raises(ValueError, match="one column per point"):
        extreme_rank_lengths([1, 2, 3])
    with pytest.raises(ValueError, match="one column per point"):
        extreme_rank_lengths(np.empty((3, 0)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        global_envelope([[1.0]], 95)
    with pytest.raises(ValueError, match="at least one curve"):
        global_envelope(np.empty((0, 2)))


def test_a_curve_of_another_length() -> None:
    """It is refused in words, by every test of a curve."""
    for test in (envelope_p_value, area_p_value):
        with pytest.raises(ValueError, match=r"shape \(2,\) can't be ranked among curves of 3"):
            test([1, 2], [[1, 2, 3]])
    with pytest.raises(ValueError, match="can't be ranked"):
        global_envelope([[1, 2, 3]], observed=[1, 2])
    with pytest.raises(ValueError, match="can't be ranked"):
        p_values_of_each([[1, 2]], [[1, 2, 3]])
