"""The published seeds: what a training table is judged among.

They are ``reports/published/ensemble``: 1,000 seeds per variant whose BatchNorm weights start at 1,
and 256 with weights drawn from U(0, 1) as in PyTorch before 1.2.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from bench.store.store import EPOCHS, RUNS
from hnrnn.published import MEASURES
from reports.runs.curves import curves

FOLDER = Path(__file__).parents[1] / "published" / "ensemble"


def published_seeds(variant: str, initialisation: str) -> pd.DataFrame:
    """Return the seeds of a variant and a start of its BatchNorm weights, ``ones`` or ``uniform``.

    One row per seed and epoch, with the columns ``variant``, ``seed``, ``epoch`` and the measures.
    """
    rows = _read()
    own = rows[(rows["variant"] == variant) & (rows["initialisation"] == initialisation)]
    return own.drop(columns="initialisation").reset_index(drop=True)


@cache
def published_curves(variant: str, initialisation: str) -> pd.DataFrame:
    """Return their curves, one row per seed; they are shared, and not to be changed."""
    return curves(published_seeds(variant, initialisation), variant)


@cache
def _read() -> pd.DataFrame:
    """Return all seeds, sorted. Only the columns that are needed are read: it takes 0.1 seconds."""
    key = ["variant", "seed", "epoch"]
    columns = ["run_id", *key, *MEASURES]
    epochs = pq.read_table(FOLDER / EPOCHS / f"{EPOCHS}.parquet", columns=columns).to_pandas()
    starts = ["run_id", "initialisation"]
    runs = pq.read_table(FOLDER / RUNS / f"{RUNS}.parquet", columns=starts).to_pandas()
    joined: pd.DataFrame = epochs.merge(runs, on="run_id").drop(columns="run_id")
    return joined.sort_values(key, ignore_index=True)
