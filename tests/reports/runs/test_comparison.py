"""The notebook's values beside ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.runs.comparison import Comparison, compare, expected_share_outside, rank


@pytest.mark.parametrize(
    ("value", "sample", "expected"),
    [
        (0.5, [1.0, 2.0, 3.0], 1),
        (2.5, [1.0, 2.0, 3.0], 3),
        (9.0, [1.0, 2.0, 3.0], 4),
        (2.0, [1.0, 2.0, 3.0], 2.5),
        (2.0, [2.0, 2.0, 2.0], 2.5),
        (1.0, [], 1),
        (9.0, [1.0, float("nan")], 2),
    ],
)
def test_rank(value: float, sample: list[float], expected: float) -> None:
    """Ranks run from 1 to N + 1, ties share ranks, and a diverged run is the largest."""
    assert rank(value, np.array(sample)) == expected


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(-6, 6))
def test_rank_properties(sample: list[int], value: int) -> None:
    """A rank lies in 1 to N + 1, ignores the order, and is mirrored when signs change."""
    array = np.array(sample, dtype=float)
    result = rank(value, array)
    assert 1 <= result <= len(sample) + 1
    assert rank(value, array[::-1]) == result
    assert rank(-value, -array) == len(sample) + 2 - result


def frames(losses: list[float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return epochs of one variant at one epoch with these losses, and one published row."""
    epochs = pd.DataFrame(
        {
            "variant": "Model0",
            "seed": range(len(losses)),
            "epoch": 0,
            "train_loss": losses,
            "valid_loss": losses,
            "accuracy": 0.5,
        }
    )
    published = pd.DataFrame(
        [{"model": "Model0", "epoch": 0, "train_loss": 2.5, "valid_loss": 0.0, "accuracy": 0.5}]
    )
    return epochs, published


def test_compare() -> None:
    """Median, quantiles and rank are those computed by hand."""
    train, valid, accuracy = compare(*frames([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (train.measure, valid.measure, accuracy.measure) == (
        "train_loss", "valid_loss", "accuracy",
    )  # fmt: skip
    assert (train.seeds, train.median, train.rank) == (5, 3.0, 3.0)
    assert (train.low, train.high) == (pytest.approx(1.1), pytest.approx(4.9))
    assert (train.outside, valid.outside, accuracy.outside) == (False, True, False)
    assert (valid.rank, accuracy.rank) == (1.0, 3.5)


def test_compare_without_seeds() -> None:
    """A published row without runs is kept, with zero seeds."""
    epochs, published = frames([])
    train = compare(epochs, published)[0]
    assert train.seeds == 0
    assert np.isnan([train.median, train.low, train.high, train.rank]).all()
    assert not train.outside


def test_compare_with_a_diverged_run() -> None:
    """NaN ranks above all values and is left out of the quantiles."""
    train = compare(*frames([1.0, 3.0, float("nan")]))[0]
    assert (train.seeds, train.median, train.rank) == (3, 2.0, 2.0)


def test_expected_share_outside() -> None:
    """Of 39 seeds the 2.5% quantile lies at position 1.95, and 1.95 / 40 is left below it."""

    def of(seeds: int) -> Comparison:
        return Comparison("Model0", 0, "accuracy", 0.5, seeds, 0.5, 0.4, 0.6, 1)

    assert expected_share_outside([of(39)]) == pytest.approx(2 * 1.95 / 40)
    assert expected_share_outside([of(1)]) == 1
    assert expected_share_outside([of(10**6)]) == pytest.approx(0.05, abs=1e-4)


def test_expected_share_outside_by_simulation() -> None:
    """For a smooth distribution, that share of further seeds really lies outside."""
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((4000, 21))
    low, high = np.quantile(draws[:, 1:], [0.025, 0.975], axis=1)
    share = np.mean((draws[:, 0] < low) | (draws[:, 0] > high))
    one = Comparison("Model0", 0, "accuracy", 0.5, 20, 0.5, 0.4, 0.6, 1)
    assert share == pytest.approx(expected_share_outside([one]), abs=0.02)
