"""The calibration workload: frozen, and the same work whenever it is timed."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest
import torch

from bench.execution.sources import meaning
from bench.timing import calibration_workload
from bench.timing.calibration_workload import VERSION, CalibrationWorkload

SOURCE = Path(calibration_workload.__file__).read_text(encoding="utf-8")
DIGESTS = {"calibration workload 1": "546f79107690cb880589"}
"""A digest of what each version does. A changed source needs a new version, and a line here."""


def test_version() -> None:
    """The version belongs to the code: comments and docstrings may change, nothing else."""
    digest = hashlib.sha256(meaning(SOURCE).encode()).hexdigest()[:20]
    assert DIGESTS[VERSION] == digest, "a changed workload needs a new VERSION, and its digest here"


def test_nothing_that_may_change_takes_part() -> None:
    """It imports torch alone, and uses neither its modules nor its optimizers nor its generator."""
    tree = ast.parse(SOURCE)
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    ]
    assert set(imported) == {"__future__", "torch"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"nn", "optim", "rand", "randn", "manual_seed"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_step_is_the_same(dtype: torch.dtype) -> None:
    """It neither learns nor draws numbers, so that a step does the same as the first."""
    workload = CalibrationWorkload("cpu", dtype)
    first, again = workload.step(), workload.step()
    other = CalibrationWorkload("cpu", dtype).step()
    for a, b, c in zip(first, again, other, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)
        assert torch.isfinite(a).all()
        assert a.dtype == dtype
    moved = [not torch.equal(a, b) for a, b in zip(first, workload.weights, strict=True)]
    assert all(moved)
