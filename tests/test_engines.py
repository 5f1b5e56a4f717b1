"""The table of engines."""

from __future__ import annotations

import pytest

from bench.engines import ENGINES
from bench.records import LEARNER
from tests.test_imports import modules_after


def test_every_engine_is_there() -> None:
    """Every engine says what it is and what its records say."""
    for name, engine in ENGINES.items():
        assert engine.name == name
        assert engine.description
        assert engine.trained_by == LEARNER


def test_nothing_is_loaded_unless_asked() -> None:
    """The table and the command line load no engine, nor what it needs."""
    loaded = modules_after("import bench.engines, bench.night, bench.__main__")
    assert not loaded & {engine.module for engine in ENGINES.values()}
    assert not loaded & {"ray", "torch", "multiprocessing.pool"}


@pytest.mark.parametrize("name", ["local"])
def test_engine_can_be_loaded(name: str) -> None:
    """An engine's module has what the table promises."""
    assert callable(ENGINES[name].load().run_all)
