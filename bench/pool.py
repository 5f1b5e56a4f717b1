"""Runs in worker processes of this machine, each record stored the moment it is made."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

from pebble import ProcessExpired, ProcessPool

from bench.records import DIVERGED, FAILED, Provenance, Run

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Finished:
    """What a worker reports of a run that it has stored, or could not do."""

    run: Run
    status: str
    error: str | None = None
    accuracy: float | None = None
    """Validation accuracy after the last epoch."""
    total_seconds: float = 0.0


Watcher = Callable[[Sequence[Run], Finished | None], None]
"""Called with the runs that are being trained, and with a run that has just finished."""


def usable_processors() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    runs: Sequence[Run],
    *,
    results: str,
    jobs: int,
    provenance: Provenance,
    watch: Watcher,
) -> list[Finished]:
    """Train ``runs`` with ``jobs`` worker processes and store their records in ``results``.

    Returns how each ended. A worker that dies costs its run only. On KeyboardInterrupt the workers
    are stopped, and it is raised again: what was stored stays.
    """
    context = multiprocessing.get_context("spawn")
    finished: list[Finished] = []
    with ProcessPool(max_workers=min(jobs, len(runs)), context=context) as pool:
        try:
            pending: dict[Future[Finished], Run] = {
                pool.schedule(_run_and_store, args=(run, results, provenance)): run for run in runs
            }
            while pending:
                watch(_running(pending), None)
                done, _ = wait(pending, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    run = pending.pop(future)
                    finished.append(_result_of(future, run))
                    watch(_running(pending), finished[-1])
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]  # pebble's is untyped
            raise
    return finished


def _running(pending: dict[Future[Finished], Run]) -> list[Run]:
    return [run for future, run in pending.items() if future.running()]


def _result_of(future: Future[Finished], run: Run) -> Finished:
    try:
        return future.result()
    except ProcessExpired as error:
        return Finished(run, FAILED, f"its worker process ended with code {error.exitcode}")
    except OSError as error:
        return Finished(run, FAILED, f"its record could not be stored: {error}")


def _run_and_store(run: Run, results: str, provenance: Provenance) -> Finished:
    """Do one run in this process: what a worker executes."""
    from bench.runner import execute  # loads torch and fastai, in the worker only
    from bench.store import Store

    start = time.perf_counter()
    record = execute(run, provenance)
    Store(results).write(record)
    accuracy = record.epochs[-1].accuracy if record.epochs else None
    return Finished(
        run,
        record.outcome.status,
        _describe(record.outcome.status, record.outcome.error),
        accuracy,
        time.perf_counter() - start,
    )


def _describe(status: str, error: str | None) -> str | None:
    return "its loss is no finite number" if status == DIVERGED else error
