"""Runs as curves: every epoch of every measure side by side, one row per run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS

DECIMALS = 6
"""As many as a notebook prints. Ours are rounded too, so that equal printed values are ties."""


def curves(
    epochs: pd.DataFrame, variant: str, key: str = "seed", measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Return the curves of a variant's runs over its full recipe, one row per value of ``key``.

    ``epochs`` has one row per run and epoch, with ``variant`` or ``model``, ``key``, ``epoch`` and
    the measures. Runs that lack an epoch are left out. The result's columns are (measure, epoch).
    """
    count = VARIANTS[variant].epochs
    column = "variant" if "variant" in epochs else "model"
    rows = epochs[(epochs[column] == variant).to_numpy() & (epochs["epoch"] < count).to_numpy()]
    rows = rows.sort_values([key, "epoch"]).drop_duplicates([key, "epoch"])
    rows = rows[rows.groupby(key)["epoch"].transform("size") == count]
    values = rows[list(measures)].to_numpy(dtype=np.float64)
    by_run = values.reshape(-1, count, len(measures)).transpose(0, 2, 1)
    return pd.DataFrame(
        by_run.reshape(-1, count * len(measures)).round(DECIMALS),
        index=pd.Index(rows[key].iloc[::count], name=key),
        columns=pd.MultiIndex.from_product([measures, range(count)], names=["measure", "epoch"]),
    )
