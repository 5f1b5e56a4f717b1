"""What all engines share: what a worker executes, and what is said of a run that has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.records import DIVERGED, Provenance, Run


@dataclass(frozen=True)
class Finished:
    """How a run ended that is stored, or could not be done."""

    run: Run
    status: str
    error: str | None = None
    accuracy: float | None = None
    """Validation accuracy after the last epoch."""
    total_seconds: float = 0.0


Watcher = Callable[[Sequence[Run], Finished | None], None]
"""Called with the runs that are being trained, and with a run that has just finished."""


def run_and_store(run: Run, results: str, provenance: Provenance) -> Finished:
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
