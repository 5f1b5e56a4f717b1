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


def run_pytest(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest from the root of the checkout, as it is called by hand."""
    # Of a worker of xdist, whose tests are run beside others, pytest-benchmark keeps nothing.
    own = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", *map(str, arguments)]
    return subprocess.run(
        command, cwd=ROOT, env=own | environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_pytest_benchmark(tmp_path: Path) -> None:
    """Its options work where nothing is stored yet, and its JSON says what was timed."""
    path = tmp_path / "benchmarks.json"
    result = run_pytest(
        "bench", "-k", "Model1-custom and train_step and not hoisted", "--benchmark-compare",
        "--benchmark-compare-fail=median:25%", f"--benchmark-json={path}",
        f"--benchmark-storage={tmp_path}", "-o", f"cache_dir={tmp_path}",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Can't compare. No benchmark files" in result.stdout + result.stderr
    assert "benchmark 'Model1 train_step': 1 tests" in result.stdout
    (benchmark,) = json.loads(path.read_text())["benchmarks"]
    assert benchmark["group"] == "Model1 train_step"
    assert benchmark["extra_info"]["tokens_per_step"] == 64 * VARIANTS["Model1"].bptt
    assert benchmark["extra_info"]["peak_memory_bytes"] > 64 * VARIANTS["Model1"].bptt * 8
    assert benchmark["options"]["timer"] == "synchronised_clock"


COUNTED = """
import os
from itertools import count
import pytest
ticks = count(step=int(os.environ["TICKS"]))

@pytest.mark.benchmark(timer=lambda: next(ticks))
@pytest.mark.parametrize("name", os.environ.get("NAMES", "one").split())
def test_counted(benchmark, name):
    benchmark.pedantic(lambda: None, rounds=3)
"""


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that times so many ticks of a clock, with the options of a comparison."""
    (tmp_path / "conftest.py").write_text((ROOT / "bench/conftest.py").read_text())
    (tmp_path / "test_counted.py").write_text(COUNTED)
    options = [
        tmp_path,
        "--rootdir",
        tmp_path,
        "-c",
        ROOT / "bench/pytest.ini",
        "-p",
        "no:cacheprovider",
    ]
    options += [f"--benchmark-storage={tmp_path}", "--benchmark-autosave"]

    def run(ticks: int, *more: str, names: str = "one") -> subprocess.CompletedProcess[str]:
        return run_pytest(*options, *more, TICKS=str(ticks), NAMES=names)

    return run


LIMIT = ("--benchmark-compare", "--benchmark-compare-fail=median:25%")


def test_a_slower_benchmark_fails(
    compare: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """The first call passes and says why; then what is slower by more fails, by a line."""
    first = compare(100, *LIMIT)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "not compared, since no result is stored: test_counted[one]" in first.stdout
    alike = compare(120, *LIMIT)
    assert alike.returncode == 0, alike.stdout + alike.stderr
    assert "not compared" not in alike.stdout
    slower = compare(160, *LIMIT, names="one two")
    assert slower.returncode == 1
    said = slower.stdout + slower.stderr
    assert "test_counted[one] (0002_" in said
    assert "'median' has failed" in said
    assert "not compared, since no result is stored: test_counted[two]" in said
    assert "slower than the stored results, as listed above" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (LIMIT[1:], "--benchmark-compare-fail needs --benchmark-compare"),
        (
            ("--benchmark-compare=0009", LIMIT[1]),
            "no stored results match --benchmark-compare=0009",
        ),
    ],
)
def test_nothing_to_compare_with(
    compare: Callable[..., subprocess.CompletedProcess[str]],
    options: tuple[str, ...],
    message: str,
) -> None:
    """A limit without a comparison, and results that are not there, are refused before a run."""
    result = compare(100, *options)
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {message}" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "passed" not in result.stdout


@dataclass
class Benchmark:
    """Stands for pytest-benchmark's fixture: calls what is to be timed as often as one block."""

    extra_info: dict[str, int] = field(default_factory=dict)
    group: str = ""
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
    # What is not timed: the warm-up, and the step whose memory is measured.
    session.run = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    session.peak_memory_bytes = lambda: 7  # type: ignore[method-assign]
    benchmark = Benchmark()
    time_configuration(session, phase, benchmark)
    assert read == benchmark.operations == 10
    assert benchmark.group == f"Model1 {phase}"
    assert benchmark.extra_info.get("peak_memory_bytes") == (7 if phase == "train_step" else None)
    assert session.model.training == (phase != "validation")


def test_the_tests_are_strict() -> None:
    """Here a warning is an error: what ``pytest bench`` is spared is not spared the tests."""
    with pytest.raises(UserWarning, match="seen"):
        warnings.warn("seen", stacklevel=1)
