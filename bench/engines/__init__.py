"""The engines, which are where runs execute: one module each, loaded only when it is asked for.

Each module has two functions. ``survey`` finds the device and the environment of its workers, and
``run_all`` trains. Whatever the engine, the same runs give the same records under the same ids.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from bench.errors import UsageError

LOCAL, RAY = "local", "ray"
ENGINES: Mapping[str, str] = MappingProxyType(
    {LOCAL: "worker processes on this machine", RAY: "workers on a Ray cluster"}
)
"""What each engine is, by its name, which is that of its module too."""
RAY_REQUIREMENT = "ray>=2.50,<3"
"""What to pass to pip for Ray, an optional dependency."""


def find_engine(name: str, **ray_settings: Any) -> dict[str, Any]:
    """Return the settings that an engine's functions take: all of ``ray_settings``, or none.

    Raises UsageError for an unknown engine, and if one of Ray's settings is given to another.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}: choose from {', '.join(ENGINES)}")
    if name == RAY:
        return ray_settings
    for setting, value in ray_settings.items():
        if value is not None:
            raise UsageError(f"--{setting.replace('_', '-')} only applies to --engine {RAY}")
    return {}


def load_engine(name: str) -> Any:
    """Return the engine's module; raise UsageError if Ray is needed and not installed."""
    if name == RAY and not find_spec(RAY):
        raise UsageError(
            f'--engine {RAY} needs {RAY}, which is not installed: pip install "{RAY_REQUIREMENT}"'
        )
    # Threads spin while they wait; with several threads they would spin for minutes.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return import_module(f"bench.engines.{name}")
