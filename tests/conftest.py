"""What every test shares: one thread, and small runs to look at."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.store.records import Record, Run
from bench.store.store import Store

# Nothing here imports torch: the controller of pytest-xdist does without, and is waited for.
os.environ["COLUMNS"] = "200"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option with which the golden files are written anew."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the golden files anew")


def pytest_collection_finish() -> None:
    """Set what all tests share, once everything is loaded.

    What is loaded stays to the end. Out of the collector's sight, it does not cost every full
    garbage collection half a second.
    """
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter take down what was loaded."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _unflushed() -> Iterator[None]:
    """Do not wait for the disk: what a test stores need not survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


def small_run(variant: str = "Model4", seed: int = 0, **changes: object) -> Run:
    """Return a run of one epoch on the variant's own backend."""
    from hnrnn.variants import VARIANTS

    values: dict[str, object] = {
        "variant": variant,
        "backend": VARIANTS[variant].backend,
        "seed": seed,
        "dtype": "float32",
        "initialisation": "ones",
        "device": "cpu",
        "epochs": 1,
    }
    return Run(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """Three real records: two seeds of Model4 and one of Model5, one epoch each."""
    from bench.execution.runner import execute

    return [execute(small_run(*key)) for key in (("Model4", 0), ("Model4", 1), ("Model5", 0))]


@pytest.fixture
def store(tmp_path: Path, records: list[Record]) -> Store:
    """A store that holds the three records."""
    store = Store(tmp_path / "results")
    store.prepare()
    for record in records:
        store.write(record)
    return store


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the local engine train in this process."""
    from bench.engines import local
    from tests.in_process import InProcessPool

    monkeypatch.setattr(local, "LocalPool", InProcessPool)
