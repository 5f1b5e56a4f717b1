"""What a worker gets at a time: one run, or the seeds of a variant that are trained together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.plan.costs import expected_cost
from bench.plan.grid import BACKENDS
from bench.store.records import Run

Task = tuple[Run, ...]
"""One run, or on a joint backend several runs that differ only in their seed."""
MOST_SEEDS = {"cpu": 32, "cuda": 1024}
"""The most seeds of a task, by device: they are all lost with their worker."""


def alike(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups: those that a joint backend trains together, the others alone."""
    groups: dict[Run, list[Run]] = {}
    for run in runs:
        key = replace(run, seed=0) if BACKENDS[run.backend].joint else run
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def tasks_of(runs: Sequence[Run], jobs: int) -> list[Task]:
    """Return the tasks for ``jobs`` workers, in the order in which they should start.

    ``runs`` are in the order of a plan. The tasks are in the order of their first seeds, and the
    longest first. A joint task is as large as allowed, unless other workers would have nothing to
    do meanwhile.
    """
    joint = [group for group in alike(runs) if BACKENDS[group[0].backend].joint]
    tasks: list[Task] = [(run,) for run in runs if not BACKENDS[run.backend].joint]
    fair = sum(map(expected_cost, runs)) / jobs
    for group in joint:
        shares = math.ceil(len(group) * expected_cost(group[0]) / fair - 1e-9)
        size = min(MOST_SEEDS[group[0].device], len(group) // min(shares, len(group)))
        tasks += [tuple(group[start : start + size]) for start in range(0, len(group), size)]
    places = {seed: place for place, seed in enumerate(dict.fromkeys(run.seed for run in runs))}
    return sorted(tasks, key=lambda task: (places[task[0].seed], -sum(map(expected_cost, task))))
