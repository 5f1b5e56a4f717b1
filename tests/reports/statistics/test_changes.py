"""The most likely change point of a series."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reports.statistics.changes import change_point

Array = npt.NDArray[np.float64]
VALUES = arrays(np.float64, st.integers(2, 30), elements=st.floats(-50, 50))


def test_by_hand() -> None:
    """The first value of the new level is named, up or down; a direction hides the other one."""
    values = np.array([1.0, 1, 1, 5, 5, 5, 5, 3, 3])
    assert change_point(values) == 3
    assert change_point(-values) == 3
    assert change_point(values, direction=1) == 3
    assert change_point(np.array([0.0, 0, 9, 9, 9, 0, 0]), direction=1) == 2
    assert change_point(np.array([0.0, 0, 9, 9, 9, 0, 0]), direction=-1) == 5


def test_weights_are_repetitions() -> None:
    """A value of weight 3 counts as three, which cannot be split."""
    values, weights = np.array([0.0, 4, 1, 2, 7]), np.array([3.0, 1, 2, 3, 1])
    repeated = change_point(np.repeat(values, weights.astype(int)))
    assert repeated == weights[: change_point(values, weights)].sum()


@given(VALUES, st.sampled_from([-1, 0, 1]))
def test_the_split_is_the_likeliest(values: Array, direction: int) -> None:
    """No other split has a larger standardised difference of the means."""
    n = len(values)
    differences = np.array([
        (values[k:].mean() - values[:k].mean()) * np.sqrt(k * (n - k) / n) for k in range(1, n)
    ])  # fmt: skip
    sized = differences * direction if direction else np.abs(differences)
    assert sized[change_point(values, direction=direction) - 1] == pytest.approx(sized.max())


@given(VALUES)
def test_backwards(values: Array) -> None:
    """Integer values read backwards are split in the same place, unless there is a tie."""
    values = np.round(values)
    sums = np.cumsum(values - values.mean())[:-1] ** 2
    sizes = sums / (np.arange(1, len(values)) * np.arange(len(values) - 1, 0, -1))
    if (sizes > 0.999 * sizes.max()).sum() == 1:
        assert change_point(values[::-1]) == len(values) - change_point(values)


@pytest.mark.parametrize(
    ("values", "weights"), [([1.0], None), ([], None), ([1.0, 2], [1.0]), ([1.0, 2], [0.0, 1])]
)
def test_bad_input(values: list[float], weights: list[float] | None) -> None:
    """Fewer than two values, or weights that are none, are refused."""
    with pytest.raises(ValueError, match="at least two values"):
        change_point(np.array(values), None if weights is None else np.array(weights))
