"""How the variants are measured: a grid of runs, worker processes, and a parquet store.

    import bench
    store = bench.run(variants=["Model5"], seeds=5)
    store.read().epochs

The names below are loaded when they are first used, and torch when something is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnrnn.exports import lazy

if TYPE_CHECKING:
    from bench.engines.work import Halted
    from bench.errors import StoreError, UsageError
    from bench.execution.own_cell import check_cell
    from bench.night import run
    from bench.store.store import Store

__all__ = ["Halted", "Store", "StoreError", "UsageError", "check_cell", "run"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "Halted": "bench.engines.work",
        "Store": "bench.store.store",
        "StoreError": "bench.errors",
        "UsageError": "bench.errors",
        "check_cell": "bench.execution.own_cell",
        "run": "bench.night",
    },
)
