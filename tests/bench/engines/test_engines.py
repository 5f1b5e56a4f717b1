"""The table of engines."""

from __future__ import annotations

import inspect
import tomllib
from importlib.util import find_spec

import pytest

from bench import engines
from bench.engines import ENGINES, Engine, find_engine
from bench.errors import UsageError
from tests.places import ROOT
from tests.test_imports import modules_after


def test_every_engine_is_there() -> None:
    """The engines are ``local`` and ``ray``, and each says what it is."""
    assert list(ENGINES) == ["local", "ray"]
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert engine.description


def test_nothing_is_loaded_unless_asked() -> None:
    """The table and the command line load no engine, nor what it needs."""
    loaded = modules_after("import bench.engines, bench.commands.run, bench.__main__")
    assert not loaded & {engine.module for engine in ENGINES.values()}
    assert not loaded & {"ray", "torch", "multiprocessing.pool"}


def test_engines_have_the_same_functions() -> None:
    """What one engine can be told, every other can, but for the settings that it alone has."""
    expected = signatures(ENGINES["local"])
    for engine in ENGINES.values():
        if engine.needs is None or find_spec(engine.needs):
            assert signatures(engine) == expected


def signatures(engine: Engine) -> list[list[str]]:
    """Return the parameters of an engine's functions, but for its own settings."""
    module = engine.load()
    parameters = [inspect.signature(f).parameters for f in (module.survey, module.run_all)]
    assert all(set(engine.settings) <= set(names) for names in parameters)
    return [[name for name in names if name not in engine.settings] for names in parameters]


def test_what_an_engine_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Ray is not installed, the line says how to install it."""
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r'not installed: pip install "ray>=2.50,<3"$'):
        ENGINES["ray"].load()


def test_requirements_are_those_of_the_extras() -> None:
    """What pip is told to install is what the extra of the same name would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {engine.needs: [engine.requirement] for engine in ENGINES.values() if engine.needs}
    assert needed == {name: project["optional-dependencies"][name] for name in needed}
    assert needed


def test_settings_belong_to_an_engine() -> None:
    """An engine gets its own settings; another engine's setting is refused in one line."""
    unset = {"gpus_per_run": None, "ray_address": None}
    assert find_engine("local", **unset) == (ENGINES["local"], {})
    given = unset | {"gpus_per_run": 0.5}
    assert find_engine("ray", **given) == (ENGINES["ray"], given)
    with pytest.raises(UsageError, match=r"^--gpus-per-run only applies to --engine ray$"):
        find_engine("local", **given)
    with pytest.raises(UsageError, match="unknown engine 'slurm': choose from local, ray"):
        find_engine("slurm", **unset)
