"""The engines that train the runs of a plan: one module each, loaded only where it is asked for.

Each has the function ``run_all``: the same runs in, the same records with the same ids stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from bench.records import LEARNER

LOCAL = "local"


@dataclass(frozen=True)
class Engine:
    """Where and how runs are trained."""

    name: str
    description: str
    module: str
    trained_by: str = LEARNER
    """What a run's record says in its column ``engine``."""

    def load(self) -> Any:
        """Return the engine's module, with whatever it needs."""
        return import_module(self.module)


_TABLE = (Engine(LOCAL, "worker processes of this machine", "bench.engines.local"),)

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _TABLE})
"""Engine by name."""
