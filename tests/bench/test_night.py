"""``bench.run``: a night from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench
from bench.engines import local
from bench.engines.ledger import Attempt
from bench.store.records import FAILED, OK
from tests.test_imports import modules_after


def run(results: Path, **changes: Any) -> bench.Store:
    """Run a night of Model1 with one seed for one epoch, with some arguments changed."""
    arguments: dict[str, Any] = {"variants": ["Model1"], "seeds": 1, "epochs": 1, "device": "cpu"}
    return bench.run(results=results, **(arguments | changes))


@pytest.mark.usefixtures("in_process")
def test_a_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains what is asked for, returns the store, and does nothing twice."""
    store = run(tmp_path)
    contents = store.read()
    assert list(contents.runs["status"]) == [OK]
    assert list(contents.epochs["epoch"]) == [0]
    assert list(contents.runs["backend"]) == ["custom"]

    def run_all(runs: list[Any], *_: object, jobs: int, **__: object) -> None:
        asked.extend((each.backend, each.seed) for each in runs)
        assert jobs == 3

    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(local, "run_all", run_all)
    run(tmp_path)
    assert asked == []
    run(tmp_path, seeds=(seed for seed in (4, 0)), backends=["notebook", "ensemble"], jobs=3)
    assert asked == [("custom", 4), ("ensemble", 4), ("ensemble", 0)]


def test_a_failed_run_is_a_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails raises nothing; a night that cannot go on raises Halted."""

    def run_all(runs: list[Any], _: object, ledger: Any, **__: object) -> None:
        ledger.fail(runs[0], Attempt((runs[0],)), "injected")
        if ledger.halt:
            raise bench.Halted(ledger.halt)

    monkeypatch.setattr(local, "run_all", run_all)
    assert list(run(tmp_path).read().runs["status"]) == [FAILED]
    with pytest.raises(bench.Halted, match="Model1 custom seed 0 failed, and --fail-fast"):
        run(tmp_path, fail_fast=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variants": ["Model8"]}, "unknown variant 'Model8': choose from Model0"),
        ({"backends": ["cell"]}, "nothing to run: Model1 on cell: cell needs a recurrent model"),
        ({"device": "tpu"}, "unknown device 'tpu': choose from auto, cpu, cuda"),
        ({"engine": "slurm"}, "unknown engine 'slurm': choose from local, ray"),
        ({"gpus_per_run": 0.5}, "--gpus-per-run only applies to --engine ray"),
        ({"jobs": 0}, "jobs must be 1 or more, not 0"),
        ({"seeds": -3}, "seeds names no seed"),
        *(
            ({"seeds": seeds}, "seeds must be a number of seeds or whole numbers, not ")
            for seeds in ("5", "12", [0.5], 2.0, None, b"5", bytearray(b"5"), True, [0, True])
        ),
        ({"jobs": 1.5}, r"jobs must be a whole number, not 1\.5"),
        ({"jobs": "2"}, "jobs must be a whole number, not '2'"),
        ({"jobs": True}, "jobs must be a whole number, not True"),
        ({"jobs": 1025}, "jobs must be 1,024 or less, not 1,025"),
        ({"epochs": 1.5}, r"epochs must be a whole number, not 1\.5"),
        ({"epochs": "1"}, "epochs must be a whole number, not '1'"),
        ({"variants": "Model1"}, "variants must be a list of names, not 'Model1'"),
        ({"variants": None}, "variants must be a list of names, not None"),
        ({"backends": "nn"}, "backends must be a list of names, not 'nn'"),
        ({"backends": (name for name in ["cell"])}, "nothing to run: Model1 on cell: cell needs"),
        ({"data": "/nope"}, "give the human_numbers folder or archive"),
    ],
)
def test_usage_errors(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    """What cannot be served is a UsageError before anything is written."""
    with pytest.raises(bench.UsageError, match=message):
        run(tmp_path / "results", **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("in_process")
def test_numbers_of_numpy(tmp_path: Path) -> None:
    """Whole numbers of any kind are accepted, and stored as a number of Python's would be."""
    one = np.int64(1)
    run(tmp_path, seeds=np.arange(1), epochs=one, jobs=one)
    run(tmp_path, seeds=one)
    assert len(run(tmp_path, variants=iter(["Model1"])).read().runs) == 1


def test_public_names_are_light() -> None:
    """Every public name is there, and none but the parity gate loads torch."""
    assert "pandas" not in modules_after("import bench")
    names = ", ".join(name for name in bench.__all__ if name != "check_cell")
    assert not {"torch", "fastai", "ray", "rich"} & modules_after(f"from bench import {names}")
    assert set(bench.__all__) <= set(dir(bench))
    with pytest.raises(AttributeError, match="module 'bench' has no attribute 'no_such'"):
        bench.no_such  # noqa: B018
