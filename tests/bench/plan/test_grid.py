"""The table of backends."""

from __future__ import annotations

from bench.backends import IMPLEMENTATIONS
from bench.plan.grid import BACKENDS, NOTEBOOK_BACKENDS
from bench.store.records import ENSEMBLE
from hnrnn.variants import VARIANTS


def test_every_backend_is_implemented() -> None:
    """The table that needs no torch names what is implemented, in the same order."""
    assert [name for name, backend in BACKENDS.items() if not backend.joint] == [*IMPLEMENTATIONS]
    assert [name for name, backend in BACKENDS.items() if backend.joint] == [ENSEMBLE]
    for name, implementation in IMPLEMENTATIONS.items():
        assert BACKENDS[name].graphed == implementation.graphed


def test_notebooks_own_configurations_are_in_the_grid() -> None:
    """Every variant runs on its own backend, and the three recurrent ones on all three."""
    for variant in VARIANTS.values():
        assert BACKENDS[variant.backend].executes(variant)
        recurrent = variant.recurrence != "relu"
        assert all(BACKENDS[name].executes(variant) for name in NOTEBOOK_BACKENDS) == recurrent
