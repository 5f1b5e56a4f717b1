"""What a worker does, whatever the engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.engines import local
from bench.engines.work import Trainer, describe
from bench.execution import environment
from bench.execution.environment import read_provenance
from bench.store.records import OK
from tests.conftest import small_run
from tests.in_process import InProcessPool
from tests.nights import Night
from tests.trainers import ENVIRONMENT, PROVENANCE


def test_moved_trainer() -> None:
    """On another machine a record names that machine, and the code that was sent to it."""
    here = read_provenance("cpu")
    sent = replace(PROVENANCE, python_version="3.0", platform="elsewhere", driver_version="1.0")
    moved = Trainer(sent).moved("cpu").provenance
    assert moved == replace(
        sent, python_version=here.python_version, platform=here.platform, driver_version=None
    )
    assert Trainer().moved("cpu") == Trainer()


def test_environment_is_that_of_the_runs() -> None:
    """A worker reports the environment that its records will have, a fault's threads included."""
    trainer = Trainer(PROVENANCE)
    (record,) = trainer.carry_out((small_run(),))
    assert record.outcome.status == OK
    assert record.provenance == PROVENANCE
    assert trainer.read_environment("cpu", None) == record.environment
    assert trainer.read_environment("cpu", "threads_2").threads == 2


def test_a_workers_share_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that shares its GPU is limited before it trains; one that has it alone is not."""
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    monkeypatch.setattr(environment, "read_environment", lambda *_: ENVIRONMENT)
    for share, device in ((1.0, "cuda"), (0.25, "cuda"), (0.25, "cpu")):
        Trainer(gpu_share=share).read_environment(device, None)
    assert shares == [0.25]


def test_local_workers_have_equal_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All workers of this machine are on one GPU, if there is one."""
    shares: list[float] = []

    class Pool(InProcessPool):
        def __init__(self, trainer: Trainer, *others: Any) -> None:
            shares.append(trainer.gpu_share)
            super().__init__(trainer, *others)

    monkeypatch.setattr(local, "LocalPool", Pool)
    assert set(Night(tmp_path, {}).run(local.run_all, jobs=4)) == {OK}
    assert shares == [0.25]


def test_describe() -> None:
    """An exception is its kind and the first line of what it says."""
    assert describe(RuntimeError("CUDA error: it broke\nSearch for it")) == (
        "RuntimeError: CUDA error: it broke"
    )
    assert describe(MemoryError()) == "MemoryError"
