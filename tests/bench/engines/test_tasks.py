"""What a worker gets at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.engines.local import run_all
from bench.engines.tasks import MOST_SEEDS, tasks_of
from bench.plan.costs import expected_cost
from bench.plan.plan import make_plan
from bench.plan.profiles import PROFILES, plan_of
from bench.store.records import ENSEMBLE, FAILED, OK, Run
from hnrnn.variants import VARIANTS
from tests.nights import Night


def plan(*backends: str, variants: tuple[str, ...] = ("Model4", "Model5"), seeds: int) -> list[Run]:
    """Return the runs of a small grid, in their order."""
    return make_plan(
        variants=variants,
        backends=backends,
        seeds=seeds,
        dtype="float32",
        initialisation="ones",
        device="cpu",
        epochs=1,
    )


def test_other_backends_have_a_task_per_run() -> None:
    """Without a joint backend the tasks are the runs of the plan, in its order."""
    runs = plan("nn", "cell", seeds=3)
    assert tasks_of(runs, 2) == [(run,) for run in runs]


@pytest.mark.parametrize("backends", [[ENSEMBLE], [ENSEMBLE, "nn"]])
@pytest.mark.parametrize(("seeds", "jobs"), [(1, 1), (5, 2), (100, 2), (100, 16), (3, 8)])
def test_tasks(backends: list[str], seeds: int, jobs: int) -> None:
    """Every run is in one task, with its like, and there is work for every worker."""
    runs = plan(*backends, seeds=seeds)
    tasks = tasks_of(runs, jobs)
    assert sorted(map(str, runs)) == sorted(str(run) for task in tasks for run in task)
    for task in tasks:
        assert len({replace(run, seed=0) for run in task}) == 1
        assert len(task) <= (MOST_SEEDS["cpu"] if task[0].backend == ENSEMBLE else 1)
    assert len(tasks) >= min(jobs, len(runs))


def test_order_of_a_mixed_plan() -> None:
    """Tasks go by their first seed and the longest first, so that a night cut short is balanced."""
    tasks = tasks_of(plan("nn", ENSEMBLE, seeds=40), 1)
    assert [(task[0].variant, task[0].backend, len(task)) for task in tasks[:4]] == [
        ("Model5", ENSEMBLE, 32),
        ("Model4", ENSEMBLE, 32),
        ("Model5", "nn", 1),
        ("Model4", "nn", 1),
    ]
    first_seeds = [task[0].seed for task in tasks]
    assert first_seeds == sorted(first_seeds)
    assert {len(task) for task in tasks if task[0].seed == 32} == {8, 1}


def test_other_runs_are_work_too() -> None:
    """A joint task is divided only where it would outlast the work of the others."""
    runs = plan("nn", ENSEMBLE, variants=("Model4",), seeds=8)
    assert max(len(task) for task in tasks_of(runs, 2)) == 8
    assert max(len(task) for task in tasks_of(runs, 8)) < 8
    assert len(tasks_of(plan(ENSEMBLE, seeds=8), 8)) >= 8


@pytest.mark.parametrize("jobs", [2, 10, 100])
def test_a_nightly_keeps_every_worker_busy(jobs: int) -> None:
    """No task of a nightly outlasts a worker's fair share, unless it is a single seed."""
    runs = plan_of(
        PROFILES["nightly"],
        variants=list(VARIANTS),
        backends=None,
        seeds=None,
        dtype="float32",
        initialisation="ones",
        device="cuda",
        night=0,
    )
    fair = sum(map(expected_cost, runs)) / jobs
    tasks = tasks_of(runs, jobs)
    assert max(sum(map(expected_cost, task)) for task in tasks) <= 1.001 * fair
    assert sum(map(len, tasks)) == len(runs)


@pytest.mark.usefixtures("in_process")
def test_a_lost_worker_costs_its_task(tmp_path: Path) -> None:
    """The runs of a task whose worker dies are tried again, then recorded as failed; no others."""
    both = ((ENSEMBLE, 3), ("nn", 4))
    runs = [run for name, seeds in both for run in plan(name, variants=("Model4",), seeds=seeds)]
    night = Night(tmp_path, {1: ("broken", "broken")})
    assert night.run(run_all, runs, jobs=1) == [FAILED] * 3 + [OK] * 4
    lost = "RuntimeError: CUDA error: an illegal memory access was encountered"
    assert (
        night.lines[0] == f"Model4 ensemble seed 0 and 2 more seeds: {lost}; it is tried once more"
    )
    stored = night.store.read().runs
    assert sorted(stored.loc[stored["status"] == FAILED, "backend"]) == [ENSEMBLE] * 3
    assert stored["run_id"].nunique() == 7
