"""``pytest bench``: the timing by pytest-benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bench.test_throughput import test_throughput as time_configuration
from bench.timing.session import Session
from hnrnn.variants import VARIANTS
from tests.places import ROOT

time_configuration.__test__ = False  # type: ignore[attr-defined]  # pytest shall not collect it here


@pytest.mark.slow
def test_pytest_benchmark(tmp_path: Path) -> None:
    """Its options work where nothing is stored yet, and its JSON says what was timed."""
    path = tmp_path / "benchmarks.json"
    command = [sys.executable, "-m", "pytest", "bench", "-p", "no:xdist"]
    command += ["-k", "Model1-custom and forward and not hoisted"]
    command += ["--benchmark-compare", f"--benchmark-json={path}"]
    command += [f"--benchmark-storage={tmp_path}", "-o", f"cache_dir={tmp_path}"]
    # Of a worker of xdist, whose tests are run beside others, pytest-benchmark keeps nothing.
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    result = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Can't compare. No benchmark files" in result.stdout + result.stderr
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    assert benchmark["extra_info"] == {"tokens_per_step": 64 * VARIANTS["Model1"].bptt}
    assert benchmark["options"]["timer"] == "synchronised_clock"


@dataclass
class Benchmark:
    """Stands for pytest-benchmark's fixture: calls what is to be timed as often as one block."""

    extra_info: dict[str, int] = field(default_factory=dict)
    operations: int = 0

    def pedantic(self, target: Callable[[], object], *, rounds: int, iterations: int) -> None:
        """Call it."""
        assert rounds > 1
        self.operations = iterations
        for _ in range(iterations):
            target()


@pytest.mark.parametrize("phase", ["train_step", "forward", "validation"])
def test_an_operation_is_a_step(phase: str) -> None:
    """As many operations as are counted, so many batches are read: ``ops`` are steps per second."""
    session, read = Session(VARIANTS["Model1"], "custom", "cpu"), 0

    def counted(batches: object) -> object:
        nonlocal read
        for batch in batches:  # type: ignore[attr-defined]
            read += 1
            yield batch

    session.train_batches = counted(session.train_batches)  # type: ignore[assignment]
    session.valid_batches = counted(session.valid_batches)  # type: ignore[assignment]
    session.run = lambda *_: None  # type: ignore[method-assign,assignment,return-value]  # warm-up
    benchmark = Benchmark()
    time_configuration(session, phase, benchmark)
    assert read == benchmark.operations == 10
    assert session.model.training == (phase != "validation")


def test_the_tests_are_strict() -> None:
    """Here a warning is an error: what ``pytest bench`` is spared is not spared the tests."""
    with pytest.raises(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)
