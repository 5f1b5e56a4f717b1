"""Which epochs belong to which run: they are in files of their own."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bench.store.records import ENSEMBLE


def pair(runs: pa.Table, epochs: pa.Table) -> tuple[pa.Table, pa.Table, list[str]]:
    """Return the runs that have all their epochs, these epochs, and the ids of the other runs.

    Epochs of an older file get their run's backend. Epochs without a run, left by a writer that was
    killed between its two files, are left out.
    """
    counted = runs.select(["run_id", "epoch_rows"]).to_pandas()
    owners = epochs["run_id"].to_pandas()
    claimed = owners.isin(counted.loc[counted["epoch_rows"] > 0, "run_id"])
    found = owners[claimed].value_counts().reindex(counted["run_id"], fill_value=0)
    complete = counted["epoch_rows"].to_numpy() == found.to_numpy()
    incomplete = counted.loc[~complete, "run_id"]
    kept = claimed & ~owners.isin(incomplete)
    paired = with_backends(epochs.filter(pa.array(kept.to_numpy())), runs)
    return runs.filter(pa.array(complete)), paired, incomplete.to_list()


def with_backends(epochs: pa.Table, runs: pa.Table) -> pa.Table:
    """Return the epochs with the backend ``ensemble`` if it is that of their run.

    Before schema version 5 their rows named the notebook's backend.
    """
    joint = runs.filter(pc.equal(runs["backend"], ENSEMBLE))["run_id"]
    backends = pc.if_else(pc.is_in(epochs["run_id"], joint), ENSEMBLE, epochs["backend"])
    return epochs.set_column(
        epochs.schema.get_field_index("backend"), epochs.field("backend"), backends
    )
