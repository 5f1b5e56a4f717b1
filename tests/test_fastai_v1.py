"""Our float32 runs against the distribution of fastai 1.0.61's.

The whole comparison, 30 seeds to the last epoch, is run by hand: see CONTRIBUTING.md.
"""

from __future__ import annotations

import pandas as pd
import pytest

from hnrnn.training import fit
from hnrnn.variants import VARIANTS
from tests.fastai_v1 import p_values

SEEDS = 8


def first_epochs(initialisation: str) -> pd.DataFrame:
    """Return the first epoch of every variant under a few seeds."""
    return pd.concat(
        fit(name, seed=seed, epochs=1, initialisation=initialisation).history.assign(
            variant=name, seed=seed
        )
        for name in VARIANTS
        for seed in range(SEEDS)
    )


@pytest.mark.parametrize(("initialisation", "found"), [("ones", False), ("uniform", True)])
def test_first_epochs(initialisation: str, found: object) -> None:
    """First epochs are not told apart from v1's; with BatchNorm started otherwise they are."""
    table = p_values(first_epochs(initialisation), last=False)
    assert len(table) == 24
    assert (table["holm"] < 0.05).any() == found
