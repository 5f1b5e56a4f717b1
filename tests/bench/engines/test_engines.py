"""The table of engines."""

from __future__ import annotations

import inspect
import tomllib
from importlib.util import find_spec

import pytest

from bench import engines
from bench.engines import ENGINES, RAY_REQUIREMENT, find_engine, load_engine
from bench.errors import UsageError
from tests.places import ROOT
from tests.test_imports import modules_after

RAY_SETTINGS = ["gpus_per_run", "ray_address"]


def test_every_engine_is_there() -> None:
    """The engines are ``local`` and ``ray``, and each says what it is."""
    assert list(ENGINES) == ["local", "ray"]
    assert all(ENGINES.values())


def test_nothing_is_loaded_unless_asked() -> None:
    """The table and the command line load no engine, nor what it needs."""
    loaded = modules_after("import bench.engines, bench.commands.run, bench.__main__")
    assert not loaded & {f"bench.engines.{name}" for name in ENGINES}
    assert not loaded & {"ray", "torch", "multiprocessing.pool"}


def test_engines_have_the_same_functions() -> None:
    """What one engine can be told, every other can, but for the settings that Ray alone has."""
    expected = parameters("local")
    if find_spec("ray"):
        assert parameters("ray") == [[*names, *RAY_SETTINGS] for names in expected]


def parameters(engine: str) -> list[list[str]]:
    """Return the parameters of an engine's functions."""
    module = load_engine(engine)
    return [list(inspect.signature(f).parameters) for f in (module.survey, module.run_all)]


def test_what_an_engine_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is not installed, the line says how to install it."""
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r'not installed: pip install "ray>=2.50,<3"$'):
        load_engine("ray")


def test_the_requirement_is_that_of_the_extra() -> None:
    """What pip is told to install is what the extra of the same name would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["ray"] == [RAY_REQUIREMENT]


def test_settings_belong_to_an_engine() -> None:
    """An engine gets its own settings; another engine's setting is refused in one line."""
    unset = dict.fromkeys(RAY_SETTINGS)
    assert find_engine("local", **unset) == {}
    given = unset | {"gpus_per_run": 0.5}
    assert find_engine("ray", **given) == given
    with pytest.raises(UsageError, match=r"^--gpus-per-run only applies to --engine ray$"):
        find_engine("local", **given)
    with pytest.raises(UsageError, match="unknown engine 'slurm': choose from local, ray"):
        find_engine("slurm", **unset)
