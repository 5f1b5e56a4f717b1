"""The engine that trains the seeds of a variant together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.__main__ import main
from bench.engines.ensemble import MOST_SEEDS, run_all, tasks_of
from bench.store.records import ENSEMBLE, FAILED, OK, Run
from tests.nights import Night
from tests.trainers import made_up_run


def made_up_runs(variants: tuple[str, ...], seeds: int) -> list[Run]:
    """Return runs as a plan has them: seed by seed."""
    runs = [made_up_run(seed, name) for seed in range(seeds) for name in variants]
    return [replace(run, engine=ENSEMBLE) for run in runs]


@pytest.mark.parametrize(("seeds", "jobs"), [(1, 1), (5, 2), (100, 2), (100, 16), (3, 8)])
def test_tasks(seeds: int, jobs: int) -> None:
    """Every run is in one task, with its like, and there is work for every worker."""
    runs = made_up_runs(("Model4", "Model5", "Model6"), seeds)
    tasks = tasks_of(runs, jobs)
    assert sorted((run.variant, run.seed) for task in tasks for run in task) == sorted(
        (run.variant, run.seed) for run in runs
    )
    for task in tasks:
        assert len({replace(run, seed=0) for run in task}) == 1
        assert len(task) <= MOST_SEEDS["cpu"]
    assert len(tasks) >= min(jobs, len(runs))
    assert {task[0].variant for task in tasks[:3]} == {"Model4", "Model5", "Model6"}


def test_a_lost_worker_costs_its_task(tmp_path: Path) -> None:
    """The runs of a task whose worker dies are tried again, then recorded as failed; no others."""
    runs = [replace(run, engine=ENSEMBLE) for run in made_up_runs(("Model4", "Model5"), 3)]
    night = Night(tmp_path, {0: ("killed", "none", "killed", "none", "killed", "killed")})
    night.run(run_all, runs)
    statuses = {
        (each.run.variant, each.run.seed): each.status
        for _, finished in night.shown
        for each in finished
    }
    assert len(statuses) == 6
    assert set(statuses.values()) <= {OK, FAILED}
    assert any("2 more seeds: its worker was killed by SIGKILL" in line for line in night.lines)
    assert len(night.store.read().runs) == 6


def test_night(tmp_path: Path) -> None:
    """The command trains, stores what the learner's engine does but for rounding, and resumes."""
    arguments = ["run", "--profile", "smoke", "--variants", "Model0,Model4", "--seeds", "3"]
    for engine in ("ensemble", "local"):
        results = str(tmp_path / engine)
        chosen = [*arguments, "--engine", engine, "--results", results]
        if engine == "local":
            chosen += ["--backends", "notebook"]
        assert main(chosen) == 0
    keys = ["variant", "backend", "seed", "epoch"]
    ours, theirs = (
        pd.read_parquet(tmp_path / name / "epochs").sort_values(keys, ignore_index=True)
        for name in ("ensemble", "local")
    )
    assert len(ours) == 6
    measures = ["train_loss", "valid_loss", "accuracy"]
    pd.testing.assert_frame_equal(ours[keys], theirs[keys])
    pd.testing.assert_frame_equal(ours[measures], theirs[measures], rtol=1e-3)
    runs = pd.read_parquet(tmp_path / "ensemble" / "runs")
    assert set(runs["engine"]) == {ENSEMBLE}
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "ensemble").rglob("*.parquet")}
    assert main([*arguments, "--engine", "ensemble", "--results", str(tmp_path / "ensemble")]) == 0
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "ensemble").rglob("*.parquet")}
    assert after == before
