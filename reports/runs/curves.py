"""Runs as curves: every epoch of every measure of a run side by side, a row a run."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS

DECIMALS = 6
"""What a notebook prints. Ours are rounded to as many, so that what is printed alike is a tie."""


def curves(
    epochs: pd.DataFrame, variant: str, key: str = "seed", measures: Sequence[str] = MEASURES
) -> pd.DataFrame:
    """Return the curves of a variant's runs over its full recipe, one row a value of ``key``.

    ``epochs`` has a row a run and epoch, of one variant or of several, with ``key``, ``epoch`` and
    the measures; runs that lack an epoch are left out. The columns are (measure, epoch).
    """
    count = VARIANTS[variant].epochs
    column = "variant" if "variant" in epochs else "model"
    rows = epochs[epochs[column] == variant]
    complete = rows.groupby(key)["epoch"].transform("nunique") == count
    table = rows[complete].pivot_table(
        index=key, columns="epoch", values=list(measures), aggfunc="first", dropna=False
    )
    columns = pd.MultiIndex.from_product([measures, range(count)], names=["measure", "epoch"])
    return table.reindex(columns=columns).round(DECIMALS)
