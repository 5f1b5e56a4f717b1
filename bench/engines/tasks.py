"""What a worker gets at a time: one run, or the seeds of a variant that are trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.plan.grid import BACKENDS
from bench.plan.plan import expected_cost
from bench.store.records import Run

Task = tuple[Run, ...]
"""Runs of one backend that differ in nothing but their seed; several only where it is joint."""
MOST_SEEDS = {"cpu": 32, "cuda": 1024}
"""Of a task, by device: a worker that is lost costs them all, and the last one is waited for."""


def tasks_of(runs: Sequence[Run], jobs: int) -> list[Task]:
    """Return the tasks for ``jobs`` workers, in the order in which they should start.

    ``runs`` are in the order of a plan, seed by seed. So are the tasks: by the first of their
    seeds, the longest first, so that a night cut short is balanced. A joint task is as large as it
    may be, unless some of the workers would then have nothing to do.
    """
    tasks: list[Task] = [(run,) for run in runs if not BACKENDS[run.backend].joint]
    alike: dict[Run, list[Run]] = {}
    for run in runs:
        if BACKENDS[run.backend].joint:
            alike.setdefault(replace(run, seed=0), []).append(run)
    shares = max(1, -(-(jobs - len(tasks)) // max(1, len(alike))))
    for kind, group in alike.items():
        size = min(MOST_SEEDS[kind.device], -(-len(group) // shares))
        tasks += [tuple(group[start : start + size]) for start in range(0, len(group), size)]
    places = {seed: place for place, seed in enumerate(dict.fromkeys(run.seed for run in runs))}
    return sorted(tasks, key=lambda task: (places[task[0].seed], -sum(map(expected_cost, task))))
