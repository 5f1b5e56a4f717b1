"""The direction of imports, and what stays light."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import hnrnn", {"torch", "fastai", "pandas"}),
        ("import hnrnn.training, hnrnn.facts, hnrnn.__main__", {"bench", "reports"}),
        ("import hnrnn.published, hnrnn.variants", {"torch", "fastai"}),
        (
            "import bench.store.records, bench.store.store, bench.plan.plan, bench.plan.faults",
            {"torch", "fastai", "reports"},
        ),
        (
            "import bench.__main__, bench.commands.run, bench.engines.local, bench.engines.progress",
            {"torch", "fastai", "reports", "ray"},
        ),
        ("import bench.execution.runner, bench.ensemble.training", {"reports"}),
        (
            "import reports.statistics.envelope, reports.statistics.ranks, reports.statistics.permutation, reports.statistics.power",
            {"torch", "fastai", "pandas", "bench", "matplotlib"},
        ),
        (
            "import reports.__main__, reports.pages.report, reports.figures.models",
            {"torch", "fastai", "bench.execution.runner", "bench.execution.environment"},
        ),
    ],
)
def test_import_direction(statement: str, unwanted: set[str]) -> None:
    """A layer loads nothing of the layers above it, nor more than it needs."""
    assert not modules_after(statement) & unwanted
