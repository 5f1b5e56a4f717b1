"""The seeds of a variant together, as ensembles, in worker processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.engines import local
from bench.engines.ledger import Ledger
from bench.engines.work import Finished, Site, Task, Trainer, Watcher
from bench.plan.plan import expected_cost
from bench.store.records import ENSEMBLE, Run

MOST_SEEDS = {"cpu": 32, "cuda": 1024}
"""Of a task, by device: what is lost where a worker is, and what is waited for at the end."""


def survey(device: str, injected_fault: str | None) -> Site:
    """As ``bench.engines.local.survey``."""
    site = local.survey(device, injected_fault)
    environment = Trainer(engine=ENSEMBLE).read_environment(site.device, injected_fault)
    return replace(site, environment=environment)


def run_all(
    runs: Sequence[Run],
    trainer: Trainer,
    ledger: Ledger,
    *,
    jobs: int,
    watch: Watcher,
    say: Callable[[str], None],
) -> list[Finished]:
    """As ``bench.engines.local.run_all``, but that a lost worker costs the runs of its task."""
    tasks = tasks_of(runs, jobs)
    return local.carry_out(tasks, trainer, ledger, jobs=jobs, watch=watch, say=say)


def tasks_of(runs: Sequence[Run], jobs: int) -> list[Task]:
    """Return ``runs`` in tasks whose runs differ in nothing but their seed.

    The tasks go through the seeds with all variants side by side, so that a night cut short is
    balanced. Each has as many runs as it may, unless some of ``jobs`` workers would have none.
    """
    alike: dict[Run, list[Run]] = {}
    for run in runs:
        alike.setdefault(replace(run, seed=0), []).append(run)
    shares = -(-jobs // len(alike))
    tasks: list[tuple[int, float, Task]] = []
    for kind, group in alike.items():
        size = min(MOST_SEEDS[kind.device], -(-len(group) // shares))
        for start in range(0, len(group), size):
            task = tuple(group[start : start + size])
            tasks.append((start, -expected_cost(kind) * len(task), task))
    return [task for _, _, task in sorted(tasks, key=lambda found: found[:2])]
