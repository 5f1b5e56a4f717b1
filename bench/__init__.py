"""How the variants are measured: a grid of runs, worker processes, and a parquet store.

    import bench
    store = bench.run(variants=["Model5"], seeds=5)
    store.read().epochs

The names below are loaded when they are first used, and torch when something is trained.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.engines.work import Halted
    from bench.errors import StoreError, UsageError
    from bench.night import run
    from bench.store.store import Store

__all__ = ["Halted", "Store", "StoreError", "UsageError", "run"]

_HOMES = {
    "Halted": "bench.engines.work",
    "Store": "bench.store.store",
    "StoreError": "bench.errors",
    "UsageError": "bench.errors",
    "run": "bench.night",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
