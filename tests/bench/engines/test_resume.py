"""A night that was killed and resumed, and one of two calls at once, beside each other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.store import EPOCHS, RUNS, Contents, Store
from reports.__main__ import main as reports
from tests.report_data import START

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups and SIGKILL")

NIGHT = (
    "run --profile smoke --variants Model0,Model4 --backends notebook --seeds 3 --jobs 1".split()
)
RUN_COUNT = 6
WAIT_SECONDS = 300
CLOCK = ["started_at", "ended_at"]
SECONDS = ["total_seconds", "train_seconds", "valid_seconds", "train_tokens_per_second"]
"""With ``CLOCK``, all that may differ between two nights of the same runs on one machine."""


def start(results: Path) -> subprocess.Popen[str]:
    """Start a night as a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *NIGHT, "--device", "cpu", "--results", str(results)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def end(process: subprocess.Popen[str]) -> str:
    """Wait until a night is at its end, in good order, and return what it said."""
    _, error = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, error
    assert "Traceback" not in error
    return error


def kill_in_the_middle(process: subprocess.Popen[str], results: Path) -> None:
    """Kill all processes of a night once two runs are stored, and before all are."""
    deadline = time.monotonic() + WAIT_SECONDS
    while len(list((results / RUNS).glob("*.parquet"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, str, list[str]]]:
    """A night of two calls at once and one that was killed and resumed, and what they said."""
    folder = tmp_path_factory.mktemp("nights")
    together, resumed = folder / "together", folder / "resumed"
    processes = [start(together), start(together), start(resumed)]
    try:
        kill_in_the_middle(processes[-1], resumed)
        contents = Store(resumed).read()
        assert 2 <= len(contents.runs) < RUN_COUNT
        assert contents.unreadable == {}
        processes.append(start(resumed))
        said = end(processes[-1])
        assert f"{RUN_COUNT} runs: {len(contents.runs)} stored already" in said
        yield together, resumed, said, [end(process) for process in processes[:2]]
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()


def at_fixed_times(contents: Contents) -> Contents:
    """Return contents with all that a clock gave set to one value, and the tree's state with it."""
    runs, epochs = contents.runs.copy(), contents.epochs.copy()
    runs[CLOCK] = pd.Timestamp(START)
    runs[SECONDS] = 1.0
    runs["commit"], runs["dirty"] = "c" * 40, False  # someone may commit while this runs
    epochs[[name for name in SECONDS if name in epochs]] = 1.0
    return replace(contents, runs=runs, epochs=epochs)


def test_two_calls_at_once(nights: tuple[Path, Path, str, list[str]]) -> None:
    """Two calls of the same night on one folder end well, and each run is stored whole, once."""
    together, _, _, said = nights
    assert all(f"stored in {together}" in text for text in said)
    for folder in nights[:2]:
        contents = Store(folder).read()
        assert contents.unreadable == {}
        assert len(contents.runs) == contents.runs["run_id"].nunique() == RUN_COUNT
        assert set(contents.runs["status"]) == {"ok"}
        assert len(contents.epochs) == RUN_COUNT
        names = {path.name for path in folder.glob("*/*") if not path.name.startswith(".")}
        assert names == {f"{run_id}.parquet" for run_id in contents.runs["run_id"]}


def test_resumed_night_is_the_same(
    nights: tuple[Path, Path, str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for times a killed and resumed night's data and report are, in each byte, the other's."""
    files = []
    for number, results in enumerate(nights[:2]):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        Store("results").write_contents(at_fixed_times(Store(results).read()))
        assert reports(["render"]) == 0
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files.append({path.relative_to(folder): path.read_bytes() for path in paths})
    assert {Path("results/runs/runs.parquet"), Path("results/report/report.md")} <= set(files[0])
    assert files[0].keys() == files[1].keys()
    assert [path for path in files[0] if files[0][path] != files[1][path]] == []
    epochs = pd.read_parquet(Path("results") / EPOCHS)
    assert sorted(set(zip(epochs["variant"], epochs["seed"], strict=True))) == [
        (variant, seed) for variant in ("Model0", "Model4") for seed in range(3)
    ]
    # What was set to one value were times, and nothing else.
    assert set(CLOCK + SECONDS) <= set(pd.read_parquet(Path("results") / RUNS).columns)
