"""Runs and their epochs, which lie in files of their own: which of them belong together."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bench.store.records import ENSEMBLE


def pair(runs: pa.Table, epochs: pa.Table) -> tuple[pa.Table, pa.Table, list[str]]:
    """Return the runs that have all their epochs, these epochs, and the ids of the other runs.

    Epochs of an older file get their run's backend. Epochs that no run claims, left by one that was
    cut short between its two files, are left out.
    """
    counted = runs.select(["run_id", "epoch_rows"]).to_pandas()
    owners = epochs["run_id"].to_pandas()
    claimed = owners.isin(counted.loc[counted["epoch_rows"] > 0, "run_id"])
    found = owners[claimed].value_counts().reindex(counted["run_id"], fill_value=0)
    cut = counted["epoch_rows"].to_numpy() != found.to_numpy()
    lacking = counted.loc[cut, "run_id"]
    kept = claimed & ~owners.isin(lacking)
    whole = with_backends(epochs.filter(pa.array(kept.to_numpy())), runs)
    return runs.filter(pa.array(~cut)), whole, lacking.to_list()


def with_backends(epochs: pa.Table, runs: pa.Table) -> pa.Table:
    """Return the epochs, those of an ensemble's ``runs`` with ``ensemble`` as their backend.

    Before schema version 5 their rows named the notebook's backend.
    """
    joint = runs.filter(pc.equal(runs["backend"], ENSEMBLE))["run_id"]
    backends = pc.if_else(pc.is_in(epochs["run_id"], joint), ENSEMBLE, epochs["backend"])
    return epochs.set_column(
        epochs.schema.get_field_index("backend"), epochs.field("backend"), backends
    )
