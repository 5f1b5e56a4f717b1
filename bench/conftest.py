"""How ``pytest bench`` ends where results are compared: by a line, and not by a traceback."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from pytest_benchmark.session import PerformanceRegression


def benchmarks_of(config: pytest.Config) -> Any:
    """Return pytest-benchmark's session, which it keeps here and offers nowhere else."""
    return config._benchmarksession  # type: ignore[attr-defined]  # noqa: SLF001


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a limit without anything to compare with."""
    if config.getoption("benchmark_compare_fail") and not config.getoption("benchmark_compare"):
        raise pytest.UsageError("--benchmark-compare-fail needs --benchmark-compare")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse stored results that are named and not there."""
    benchmarks = benchmarks_of(session.config)
    if isinstance(benchmarks.compare, str) and not benchmarks.compared_mapping:
        raise pytest.UsageError(f"no stored results match --benchmark-compare={benchmarks.compare}")


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    """Name what is not compared, and end with code 1 if something has become slower.

    The first call of ``--benchmark-compare`` has nothing to be slower than, and passes.
    """
    session = benchmarks_of(terminalreporter.config)
    stored = {name for benchmarks in session.compared_mapping.values() for name in benchmarks}
    new = [benchmark.name for benchmark in session.benchmarks if benchmark.fullname not in stored]
    if not session.compared_mapping:
        session.compare_fail = []
    if session.compare and new:
        terminalreporter.write_line(f"not compared, since no result is stored: {', '.join(new)}")
    try:
        yield
    except PerformanceRegression:
        pytest.exit("slower than the stored results, as listed above", returncode=1)
