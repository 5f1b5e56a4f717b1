"""A night that was killed and resumed, and one of two calls at once, beside each other."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.store import EPOCHS, RUNS, Contents, Store
from reports.__main__ import main as reports
from reports.figures import models as figures
from tests.made_up import START

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="forks and SIGKILL"),
]

NIGHT = (
    "--profile smoke --variants Model0,Model4 --backends notebook --seeds 2 --device cpu".split()
)
RUN_COUNT = 4
CLOCK = ["started_at", "ended_at"]
SECONDS = ["total_seconds", "train_seconds", "valid_seconds", "train_tokens_per_second"]
"""With ``CLOCK``, all that may differ between two nights of the same runs on one machine."""


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A night of two calls at once, and one that was killed and resumed."""
    folder = tmp_path_factory.mktemp("nights")
    subprocess.run([sys.executable, "-m", "tests.forked_nights", folder, *NIGHT], check=True)
    stored = int((folder / "stored").read_text())
    assert 2 <= stored < RUN_COUNT
    assert f"{RUN_COUNT} runs: {stored} stored already" in (folder / "resumed.log").read_text()
    return folder / "together", folder / "resumed"


def at_fixed_times(contents: Contents) -> Contents:
    """Return contents with all that a clock gave set to one value, and the tree's state with it."""
    runs, epochs = contents.runs.copy(), contents.epochs.copy()
    runs[CLOCK] = pd.Timestamp(START)
    runs[SECONDS] = 1.0
    runs["commit"], runs["dirty"] = "c" * 40, False  # someone may commit while this runs
    epochs[[name for name in SECONDS if name in epochs]] = 1.0
    return replace(contents, runs=runs, epochs=epochs)


def test_two_calls_at_once(nights: tuple[Path, Path]) -> None:
    """Two calls of the same night on one folder end well, and each run is stored whole, once."""
    logs = [nights[0].with_name(f"together-{number}.log") for number in range(2)]
    assert all("stored in together" in log.read_text() for log in logs)
    for folder in nights:
        contents = Store(folder).read()
        assert contents.unreadable == {}
        assert len(contents.runs) == contents.runs["run_id"].nunique() == RUN_COUNT
        assert set(contents.runs["status"]) == {"ok"}
        assert len(contents.epochs) == RUN_COUNT
        names = {path.name for path in folder.glob("*/*") if not path.name.startswith(".")}
        assert names == {f"{run_id}.parquet" for run_id in contents.runs["run_id"]}


def test_resumed_night_is_the_same(
    nights: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for times a killed and resumed night's data and report are, in each byte, the other's."""
    monkeypatch.setattr(figures, "save", lambda _, path: path.write_bytes(b""))
    files = []
    for number, results in enumerate(nights):
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
        (variant, seed) for variant in ("Model0", "Model4") for seed in range(2)
    ]
    # What was set to one value were times, and nothing else.
    assert set(CLOCK + SECONDS) <= set(pd.read_parquet(Path("results") / RUNS).columns)
