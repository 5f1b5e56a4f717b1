"""Nights in processes that start at once: torch is loaded before they are forked.

``python -m tests.forked_nights FOLDER ARGUMENTS`` calls ``bench run`` with the arguments for two
results folders. For ``together`` there are two calls at once. That for ``resumed`` is killed in the
middle, and made once more. What a call said is in a file beside the folders.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.__main__ import main
from bench.engines import local
from bench.execution import environment, runner  # noqa: F401  # loads torch and fastai
from bench.store.store import RUNS
from tests.in_process import InProcessPool

WAIT_SECONDS = 300


def start(name: str, arguments: Sequence[str], log: Path) -> int:
    """Start a call for the results folder ``name`` and return its process id."""
    if (process := os.fork()) == 0:
        with log.open("w") as sys.stderr:
            code = main(["run", *arguments, "--results", name])
        os._exit(code)
    return process


def kill_in_the_middle(process: int, results: Path) -> None:
    """Kill a call once two runs are stored, and before all are."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(list((results / RUNS).glob("*.parquet"))) < 2:
        assert os.waitpid(process, os.WNOHANG) == (0, 0)
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    assert end_of(process) == -signal.SIGKILL


def end_of(process: int) -> int:
    """Wait for a process and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    local.LocalPool = InProcessPool  # type: ignore[misc, assignment]
    processes = [start("together", sys.argv[2:], Path(f"together-{n}.log")) for n in range(2)]
    try:
        kill_in_the_middle(start("resumed", sys.argv[2:], Path("killed.log")), Path("resumed"))
        stored = len(list(Path("resumed", RUNS).glob("*.parquet")))
        Path("stored").write_text(str(stored))
        processes.append(start("resumed", sys.argv[2:], Path("resumed.log")))
    finally:
        codes = [end_of(process) for process in processes]
    assert codes == [0, 0, 0]
