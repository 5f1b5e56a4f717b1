"""Distances from the reference run, on made-up runs, and the runs that have none."""

from __future__ import annotations

import numpy as np
import pytest

from hnrnn.distances import distances, reasons_without_reference
from hnrnn.published import MEASURES, reference_runs, reference_weights
from tests.hnrnn.test_departures import moved, reference


def test_distances() -> None:
    """Each value has a row with its distance, and keeps the other columns."""
    runs = moved({0: 1e-3, 3: 0.0})
    found = distances(runs, reference())
    assert len(found) == 2 * 3 * len(MEASURES)
    assert set(found["backend"]) == {"nn"}
    there = found.query("seed == 0 and epoch == 1 and column == 'valid_loss'").iloc[0]
    assert there["distance"] == pytest.approx(1e-3)
    assert not there["same"]
    assert found.drop(there.name)["distance"].max() == 0.0


def test_distances_of_what_is_no_number() -> None:
    """A loss that is no number is infinitely far."""
    found = distances(moved({0: np.nan}), reference())
    assert np.isinf(found["distance"]).sum() == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_equal_values_that_are_no_numbers_are_the_same(value: float) -> None:
    """Two runs that diverge alike are not apart; one that diverges otherwise is."""
    runs = moved({0: value})
    assert distances(runs, runs, digits=None)["same"].all()
    assert distances(runs, runs)["distance"].max() == 0.0
    other = np.nan if np.isinf(value) else np.inf
    assert np.isinf(distances(runs, moved({0: other}))["distance"]).sum() == 1


def test_epochs_without_reference_have_no_distance() -> None:
    """Other seeds and initialisations are left out."""
    runs = reference(12).assign(initialisation=["ones"] * 33 + ["uniform"] * 3)
    assert set(distances(runs, reference(10))["seed"]) == set(range(10))
    assert distances(runs.assign(initialisation="uniform"), reference()).empty


@pytest.mark.parametrize(
    ("value", "printed", "same"),
    [(3.67845549, 3.678455, True), (3.6784556, 3.678455, False), (0.060202214, 0.06020221, True)],
)
def test_all_digits_of_the_reference(value: float, printed: float, same: bool) -> None:  # noqa: FBT001
    """A value is the same if it is the reference's when it is written with seven digits."""
    printed_runs = reference(1, 1).assign(train_loss=printed)
    found = distances(printed_runs.assign(train_loss=value), printed_runs)
    assert found.query("column == 'train_loss'")["same"].all() == same
    exact = distances(printed_runs.assign(train_loss=value), printed_runs, digits=None)
    assert not exact.query("column == 'train_loss'")["same"].any()


def test_reasons_without_reference() -> None:
    """A run has a reference if its seed was run, in float32, from the same initial weights."""
    weights = reference_weights()
    runs = weights.query("variant == 'Model5'").head(4).assign(dtype="float32")
    runs.loc[runs.index[1], "initial_weights_sha256"] = "others"
    runs.loc[runs.index[2], "seed"] = 99_999
    runs.loc[runs.index[3], "dtype"] = "float64"
    assert reasons_without_reference(runs, weights).to_list() == [
        None,
        "other initial weights",
        "no reference run of its seed",
        "the reference runs are in float32",
    ]


def test_reference_runs_are_their_own() -> None:
    """The published reference runs equal themselves in all digits."""
    runs = reference_runs()
    assert distances(runs, runs)["same"].all()
