"""The engines, which are where runs execute: one module each, loaded only when it is asked for.

Each module has two functions. ``survey`` finds the device and the environment of its workers, and
``run_all`` trains. Whatever the engine, the same runs give the same records under the same ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from bench.errors import UsageError

LOCAL = "local"


@dataclass(frozen=True)
class Engine:
    """Where runs execute."""

    name: str
    description: str
    module: str
    needs: str | None = None
    """The package that its module imports, an optional dependency of this project."""
    requirement: str = ""
    """What to pass to pip for that package."""
    settings: tuple[str, ...] = ()
    """The parameters of its functions that no other engine has."""

    def load(self) -> Any:
        """Return the engine's module; raise UsageError if a package it needs is not installed."""
        if self.needs and not find_spec(self.needs):
            raise UsageError(
                f"--engine {self.name} needs {self.needs}, which is not installed: "
                f'pip install "{self.requirement}"'
            )
        return import_module(self.module)


_TABLE = (
    Engine(LOCAL, "worker processes on this machine", "bench.engines.local"),
    Engine(
        "ray",
        "workers on a Ray cluster",
        "bench.engines.ray",
        needs="ray",
        requirement="ray>=2.50,<3",
        settings=("gpus_per_run", "ray_address"),
    ),
)

ENGINES: Mapping[str, Engine] = MappingProxyType({engine.name: engine for engine in _TABLE})
"""Engine by name."""


def find_engine(name: str, **settings: Any) -> tuple[Engine, dict[str, Any]]:
    """Return an engine, and those of ``settings`` that its functions take.

    Raises UsageError for an unknown engine, and for a setting of another engine that is not None.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: choose from {', '.join(ENGINES)}")
    for other in ENGINES.values():
        for setting in other.settings:
            if other.name != name and settings[setting] is not None:
                option = f"--{setting.replace('_', '-')}"
                raise UsageError(f"{option} only applies to --engine {other.name}")
    return ENGINES[name], {setting: settings[setting] for setting in ENGINES[name].settings}
