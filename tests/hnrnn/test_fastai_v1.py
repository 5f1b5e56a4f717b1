"""Our float32 runs against fastai 1.0.61's.

The whole comparison, to the last epoch, is run by hand: see CONTRIBUTING.md.
"""

from __future__ import annotations

import pandas as pd
import pytest

from bench.ensemble.training import fit_many
from hnrnn.published import MEASURES, reference_runs
from hnrnn.training import fit
from hnrnn.variants import VARIANTS
from tests.fastai_v1 import p_values, same_seed_differences

FRESH_SEEDS = range(60, 68)
"""Seeds that fastai v1's runs do not have."""

ROUNDING = 1e-4
"""How far float32 kernels of other processors may move the first epoch."""


def test_same_seed_same_run() -> None:
    """A seed draws the weights that it draws in v1, and the first epoch ends at v1's values."""
    trained = (fit(name, seed=59, epochs=1).history.assign(variant=name) for name in VARIANTS)
    differences = same_seed_differences(pd.concat(trained).assign(seed=59))
    assert list(differences["runs"]) == [1] * 8
    assert (differences[list(MEASURES)] < ROUNDING).all(axis=None)


@pytest.mark.parametrize("variant", ["Model0", "Model6", "Model7"])
def test_same_seed_same_run_with_uniform_start(variant: str) -> None:
    """BatchNorm weights are drawn where PyTorch before 1.2 drew them: before the cell."""
    ours = fit(variant, seed=3, epochs=1, initialisation="uniform").history
    runs = reference_runs().query("initialisation == 'uniform' and seed == 3 and epoch == 0")
    theirs = runs[runs["variant"] == variant]
    difference = ours[list(MEASURES)].to_numpy() - theirs[list(MEASURES)].to_numpy()
    assert abs(difference).max() < ROUNDING


def first_epochs(variants: tuple[str, ...], initialisation: str = "ones") -> pd.DataFrame:
    """Return the first epoch of these variants under fresh seeds, and one that v1 has too."""
    return pd.concat(
        training.history.assign(variant=name, seed=training.seed)
        for name in variants
        for training in fit_many(
            name, seeds=[59, *FRESH_SEEDS], epochs=1, initialisation=initialisation
        )
    )


@pytest.mark.parametrize(("initialisation", "found"), [("ones", False), ("uniform", True)])
def test_distribution(initialisation: str, found: object) -> None:
    """First epochs are not told apart from v1's; with BatchNorm started otherwise they are.

    The seed that both have is left out: it is the same run.
    """
    table = p_values(first_epochs(("Model0", "Model2", "Model4"), initialisation), last=False)
    assert list(table["seeds"]) == [len(FRESH_SEEDS)] * 9
    assert (table["holm"] < 0.05).any() == found
