"""Runs in worker processes of this machine, each record stored the moment it is made."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait

from pebble import ProcessExpired, ProcessPool

from bench.engines.work import Finished, Watcher, run_and_store
from bench.records import FAILED, Provenance, Run

POLL_SECONDS = 0.2


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
                pool.schedule(run_and_store, args=(run, results, provenance)): run for run in runs
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
