"""The engines that train the runs of a plan: one module each, loaded only where it is asked for.

Each has two functions: ``survey`` says what there is where it trains, and ``run_all`` trains: the
same runs in, the same records with the same ids stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from bench.errors import UsageError
from bench.store.records import ENSEMBLE, LEARNER

LOCAL = "local"


@dataclass(frozen=True)
class Engine:
    """Where and how runs are trained."""

    name: str
    description: str
    module: str
    trained_by: str = LEARNER
    """What a run's record says in its column ``engine``."""
    needs: str | None = None
    """The package that its module imports."""
    requirement: str = ""
    """What pip is told to install it, as the extra of the package's name says."""
    settings: tuple[str, ...] = ()
    """What it alone is told: parameters of its functions, and options of the command line."""

    def load(self) -> Any:
        """Return the engine's module; raise UsageError where what it needs is not installed."""
        if self.needs and not find_spec(self.needs):
            raise UsageError(
                f"--engine {self.name} needs {self.needs}, which is not installed: "
                f'pip install "{self.requirement}"'
            )
        return import_module(self.module)


_TABLE = (
    Engine(LOCAL, "worker processes of this machine", "bench.engines.local"),
    Engine(
        "ray",
        "workers of a Ray cluster",
        "bench.engines.ray",
        needs="ray",
        requirement="ray>=2.50,<3",
        settings=("gpus_per_run", "ray_address"),
    ),
    Engine(
        "ensemble",
        "many seeds of a variant at once, on the notebook's backends and with nothing injected",
        "bench.engines.ensemble",
        trained_by=ENSEMBLE,
    ),
)

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _TABLE})
"""Engine by name."""
