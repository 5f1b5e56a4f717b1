"""Runs as curves."""

from __future__ import annotations

import numpy as np

from hnrnn import published
from reports.runs.curves import curves
from tests.made_up import made_up_epochs


def test_curves() -> None:
    """There is one row per seed and one column per measure and epoch, in the recipe's order."""
    epochs = made_up_epochs(3).sample(frac=1, random_state=0)
    table = curves(epochs, "Model0")
    assert table.shape == (3, 3 * 6)
    assert list(table.index) == [0, 1, 2]
    assert list(table.columns[:6]) == [("train_loss", epoch) for epoch in range(6)]
    rows = epochs[(epochs["variant"] == "Model0") & (epochs["seed"] == 2)].sort_values("epoch")
    np.testing.assert_allclose(table.loc[2, "accuracy"], rows["accuracy"], atol=5e-7)


def test_cut_short_runs_are_left_out() -> None:
    """A run that lacks an epoch is left out."""
    epochs = made_up_epochs(3)
    cut = epochs[~((epochs["seed"] == 1) & (epochs["epoch"] == 5))]
    assert list(curves(cut, "Model0").index) == [0, 2]
    assert curves(epochs[epochs["epoch"] == 0], "Model0").empty


def test_a_diverged_run_is_a_curve() -> None:
    """A diverged run stays, with its NaN."""
    epochs = made_up_epochs(2)
    epochs.loc[(epochs["seed"] == 1) & (epochs["variant"] == "Model0"), "valid_loss"] = np.nan
    table = curves(epochs, "Model0")
    assert table.shape == (2, 18)
    assert table.loc[1, "valid_loss"].isna().all()


def test_rounded_as_printed() -> None:
    """Values that a notebook prints alike are equal, such as 1500 of 3216 as 0.466418."""
    epochs = made_up_epochs(1)
    epochs["accuracy"] = 1500 / 3216
    assert (curves(epochs, "Model1")["accuracy"] == 0.466418).all(axis=None)


def test_published_tables() -> None:
    """The notebook's tables and third-party tables can be read as curves too."""
    assert curves(published.tables(), "Model3", key="model").shape == (1, 60)
    assert curves(published.third_party_runs(), "Model6", key="run").shape == (2, 30)
