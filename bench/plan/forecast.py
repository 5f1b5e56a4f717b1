"""What a plan will take before it starts: runs, time and memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.plan.costs import MEASURED_ON, expected_cost, first_seconds, memory_bytes
from bench.plan.grid import BACKENDS
from bench.store.parquet import read_folder
from bench.store.records import DIVERGED, OK, Run
from bench.store.schemas import RUNS_SCHEMA
from bench.store.store import RUNS
from bench.text import counted

START_SECONDS = 10.0
"""Before a worker is ready: it imports torch and fastai."""
OF_A_RUN = ("variant", "backend", "seed", "dtype", "initialisation", "device", "epochs")
COLUMNS = (*OF_A_RUN, "injected_fault", "status", "total_seconds")

Row = Mapping[str, Any]


def stored_runs(folder: Path) -> list[Row]:
    """Return the runs with a result in a results folder, in ``COLUMNS``; none if it is not there.

    What cannot be read is left out here; the store names it.
    """
    if not (folder / RUNS).is_dir():
        return []
    files, _ = read_folder(folder / RUNS, RUNS_SCHEMA)
    rows = [row for table in files.values() for row in table.select(COLUMNS).to_pylist()]
    return [row for row in rows if row["status"] in (OK, DIVERGED)]


def run_of(row: Row) -> Run:
    """Return a stored row's run."""
    return Run(**{name: row[name] for name in (*OF_A_RUN, "injected_fault")})


@dataclass(frozen=True)
class Speed:
    """How fast a machine is, relative to the measured costs: by configuration, and altogether."""

    by_configuration: Mapping[tuple[str, str], float]
    overall: float | None
    """None where nothing is known: on a GPU without records."""

    @classmethod
    def of(cls, rows: Sequence[Row], device: str) -> Speed:
        """Return the speed that the stored runs of a device show."""
        seconds: dict[tuple[str, str], float] = {}
        costs: dict[tuple[str, str], float] = {}
        for row in rows:
            if row["device"] == device:
                key = (row["variant"], row["backend"])
                seconds[key] = seconds.get(key, 0.0) + row["total_seconds"]
                costs[key] = costs.get(key, 0.0) + expected_cost(run_of(row))
        if not seconds:
            return cls({}, 1.0 if device == "cpu" else None)
        ratios = {key: seconds[key] / costs[key] for key in seconds}
        return cls(ratios, sum(seconds.values()) / sum(costs.values()))

    def seconds(self, run: Run) -> float | None:
        """Return how long a run should take; None where nothing is known."""
        factor = self.by_configuration.get((run.variant, run.backend), self.overall)
        return None if factor is None else factor * expected_cost(run)


def forecast(
    planned: Sequence[Run], missing: Collection[Run], rows: Sequence[Row], jobs: int, device: str
) -> list[str]:
    """Return lines that say what a plan holds, what is left to do, and what that will take.

    ``rows`` are those of ``stored_runs``, ``jobs`` the tasks at a time.
    """
    left, speed = set(missing), Speed.of(rows, device)
    lines = []
    for joint, name in ((False, "one seed at a time"), (True, "by the ensemble")):
        part = [run for run in planned if BACKENDS[run.backend].joint == joint]
        if part:
            todo = [run for run in part if run in left]
            configurations = len({(run.variant, run.backend) for run in part})
            lines.append(
                f"{name}: {counted(configurations, 'configuration')}, "
                f"{counted(len({run.seed for run in part}), 'seed')}, "
                f"{counted(len(part), 'run')}, {len(part) - len(todo)} stored already, "
                f"{len(todo)} to do{_about(todo, speed)}"
            )
    todo = [run for run in planned if run in left]
    if todo:
        lines.append(_together(todo, speed, jobs, device, measured=bool(speed.by_configuration)))
    return lines


def _core_seconds(runs: Sequence[Run], speed: Speed) -> float | None:
    each = [speed.seconds(run) for run in runs]
    known = [seconds for seconds in each if seconds is not None]
    return sum(known) if len(known) == len(each) else None


def _about(runs: Sequence[Run], speed: Speed) -> str:
    seconds = _core_seconds(runs, speed)
    return f", {_duration(seconds)} of one worker" if seconds else ""


def _together(runs: Sequence[Run], speed: Speed, jobs: int, device: str, *, measured: bool) -> str:
    """Say how long the workers take together, and how much memory they need."""
    seconds = _core_seconds(runs, speed)
    workers = min(jobs, len(runs))
    if seconds is None:
        return f"time: not known, since no run on {device} is stored here"
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        counts[run.variant, run.backend] = counts.get((run.variant, run.backend), 0) + 1
    first = sum(first_seconds(name) * min(n, workers) for (_, name), n in counts.items())
    wall = START_SECONDS + (seconds + (first if device == "cpu" else 0.0)) / workers
    basis = "from the stored runs" if measured else f"as {MEASURED_ON} takes"
    line = f"together: about {_duration(wall)} with {counted(workers, 'worker')} ({basis})"
    if device == "cpu":
        most = workers * max(memory_bytes(run.backend) for run in runs)
        line += f", up to {most / 2**30:.1f} GiB of memory"
    return line


def _duration(seconds: float) -> str:
    """Return a duration in two digits or so."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
