"""The table of variants."""

from __future__ import annotations

import dataclasses

import pytest

import hnrnn
from hnrnn import published
from hnrnn.variants import VARIANTS, find_variant


def test_recipes_are_the_notebooks() -> None:
    """bptt, epochs, learning rate, pct_start, loss and metric are those of the notebook."""
    table = {
        v.name: (v.bptt, v.epochs, v.learning_rate, v.pct_start, v.loss, v.metric)
        for v in VARIANTS.values()
    }
    last = ("cross_entropy_of_last", "accuracy_of_last")
    every = ("cross_entropy", "accuracy")
    assert table == {
        "Model0": (3, 6, 1e-4, 0.3, *last),
        "Model1": (3, 6, 1e-4, 0.3, *last),
        "Model2": (20, 10, 1e-4, 0.1, *every),
        "Model3": (20, 20, 3e-3, 0.3, *every),
        "Model4": (20, 20, 3e-3, 0.3, *every),
        "Model5": (20, 10, 1e-2, 0.3, *every),
        "Model6": (20, 10, 1e-2, 0.3, *every),
        "Model7": (20, 10, 1e-2, 0.3, *every),
    }


def test_epochs_are_the_published_rows() -> None:
    """Every variant has as many epochs as its published table has rows."""
    rows = published.tables().groupby("model").size()
    assert {name: v.epochs for name, v in VARIANTS.items()} == dict(rows)


def test_table_is_frozen() -> None:
    """Neither the table nor a recipe can be changed by accident."""
    with pytest.raises(TypeError):
        VARIANTS["Model0"] = VARIANTS["Model1"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        VARIANTS["Model0"].bptt = 4  # type: ignore[misc]


def test_find_variant() -> None:
    """A name or a variant is found; an unknown name is refused with the known ones."""
    changed = dataclasses.replace(VARIANTS["Model5"], bptt=40)
    assert find_variant("Model5") is VARIANTS["Model5"]
    assert find_variant(changed) is changed
    with pytest.raises(ValueError, match=r"unknown variant 'model5': choose from Model0, .*Model7"):
        find_variant("model5")


def test_public_names() -> None:
    """The package exports the documented names, and no others."""
    assert hnrnn.VARIANTS is VARIANTS
    assert {"VARIANTS", "Variant", "build_model", "language_model_data", "train"} <= set(dir(hnrnn))
    assert all(getattr(hnrnn, name) is not None for name in hnrnn.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hnrnn.nothing  # noqa: B018
