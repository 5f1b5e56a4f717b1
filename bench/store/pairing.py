"""Runs and their epochs, which lie in files of their own: which of them belong together."""

from __future__ import annotations

import pyarrow as pa


def pair(runs: pa.Table, epochs: pa.Table) -> tuple[pa.Table, pa.Table, list[str]]:
    """Return the runs that have all their epochs, these epochs, and the ids of the other runs.

    Epochs that no run claims, left by one that was cut short between its two files, are left out.
    """
    counted = runs.select(["run_id", "epoch_rows"]).to_pandas()
    owners = epochs["run_id"].to_pandas()
    claimed = owners.isin(counted.loc[counted["epoch_rows"] > 0, "run_id"])
    found = owners[claimed].value_counts().reindex(counted["run_id"], fill_value=0)
    cut = counted["epoch_rows"].to_numpy() != found.to_numpy()
    lacking = counted.loc[cut, "run_id"]
    kept = claimed & ~owners.isin(lacking)
    return runs.filter(pa.array(~cut)), epochs.filter(pa.array(kept.to_numpy())), lacking.to_list()
