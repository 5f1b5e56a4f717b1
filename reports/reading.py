"""A store's contents, without the rows that nothing here knows: those are set apart, and named.

What a file says is data. A variant, backend, status or phase that is none of the project's comes
from a newer version, or from someone who wrote the file by hand: no table could show its numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd

from bench.grid import BACKENDS
from bench.records import DIVERGED, FAILED, OK, SKIPPED
from bench.store import EPOCHS, RUNS, THROUGHPUT, Contents, Store
from hnrnn.variants import VARIANTS

KNOWN: Mapping[str, Collection[str]] = {
    "variant": VARIANTS,
    "backend": BACKENDS,
    "status": (OK, DIVERGED, FAILED, SKIPPED),
    "phase": ("train_step", "forward", "validation"),
}
"""What may stand in a column, beside nothing at all."""


def read(folder: str | Path) -> Contents:
    """Return what the store in ``folder`` holds; what is set apart is among the unreadable.

    Raises StoreError as ``Store.read`` does.
    """
    contents = Store(folder).read()
    unreadable = dict(contents.unreadable)
    return Contents(
        runs=_known(contents.runs, RUNS, unreadable),
        epochs=_known(contents.epochs, EPOCHS, unreadable),
        throughput=_known(contents.throughput, THROUGHPUT, unreadable),
        unreadable=unreadable,
    )


def _known(rows: pd.DataFrame, table: str, unreadable: dict[str, str]) -> pd.DataFrame:
    """Return the rows of a table in which everything is known; add the others to ``unreadable``."""
    for column, values in KNOWN.items():
        if column in rows:
            foreign = rows[column].notna() & ~rows[column].isin([*values])
            for value, count in rows.loc[foreign, column].value_counts().items():
                unreadable[f"{table} with {column} {value}"] = f"there is none such ({count} rows)"
            rows = rows[~foreign]
    return rows.reset_index(drop=True)
