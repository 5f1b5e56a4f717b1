"""Runs in, records out: every training that is recorded goes through this module."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from bench.execution.availability import kernel_of, why_unavailable
from bench.execution.environment import (
    device_works,
    read_environment,
    read_provenance,
    reproducible_settings,
    threads_of,
)
from bench.execution.fitting import fit_run, fit_runs
from bench.execution.parity import Parity, check
from bench.execution.sources import environment_of
from bench.plan.grid import BACKENDS
from bench.store.records import (
    DIVERGED,
    FAILED,
    OK,
    SKIPPED,
    Epoch,
    Outcome,
    Provenance,
    Record,
    Run,
    run_id,
)
from hnrnn.training import Training
from hnrnn.variants import VARIANTS
from hnrnn.weights import weights_sha256


def execute(run: Run, provenance: Provenance | None = None) -> Record:
    """Train one run as ``execute_many`` does, and return its record."""
    (record,) = execute_many([run], provenance)
    return record


def execute_many(runs: Sequence[Run], provenance: Provenance | None = None) -> list[Record]:
    """Train a run, or together the runs of a joint backend that differ only in their seed.

    Returns a record of each, with its share of the seconds. An exception, or a failed parity gate,
    gives the status ``failed`` with the error; a backend that cannot run here gives ``skipped``.

    Raises DeviceFaultError if an exception has left the device unusable for this process, and
    ValueError for runs that cannot be trained together.
    """
    first = runs[0]
    if {replace(run, seed=first.seed) for run in runs} != {first}:
        raise ValueError("runs that are trained together may differ only in their seed")
    if len(runs) > 1 and not BACKENDS[first.backend].joint:
        raise ValueError(f"{first.backend} trains one seed at a time, not {len(runs)}")
    kernel: str | None = None
    trainings: list[Training] = []
    with reproducible_settings(threads_of(first.injected_fault)):
        environment = environment_of(first, read_environment(first.device, first.injected_fault))
        started_at, start = datetime.now(UTC), time.perf_counter()
        results: list[dict[str, Any]]
        reason = why_unavailable(first.backend, first.device)
        if reason:
            results = [{"status": SKIPPED, "error": f"{first.backend} {reason}"}] * len(runs)
        else:
            try:
                trainings = _train(runs)
                results = [_result(training) for training in trainings]
                kernel = kernel_of(VARIANTS[first.variant], first.backend, first.device)
            except Exception as error:  # any error fails these runs only
                if not device_works(first.device):
                    raise DeviceFaultError(str(error)) from error
                trainings = []
                failed = {"status": FAILED, "error": f"{type(error).__name__}: {error}"}
                results = [failed] * len(runs)
        shared: dict[str, Any] = {
            "kernel": kernel,
            "started_at": started_at,
            "ended_at": datetime.now(UTC),
            "total_seconds": (time.perf_counter() - start) / len(runs),
        }
    provenance = provenance or read_provenance(first.device)
    records = []
    for number, (run, result) in enumerate(zip(runs, results, strict=True)):
        identity = run_id(run, environment)
        epochs = _epochs(run, identity, trainings[number]) if trainings else ()
        outcome = Outcome(**shared, **result)
        records.append(Record(identity, run, environment, provenance, outcome, epochs))
    return records


class DeviceFaultError(Exception):
    """After an error nothing more can be computed on the device in this process."""


class ParityError(Exception):
    """The backend does not compute what the reference does."""


@cache
def check_parity(variant: str, backend: str, device: str) -> Parity:
    """Return the result of the parity gate, once per process; raise ParityError if it fails."""
    if BACKENDS[backend].joint:
        from bench.execution.ensemble_parity import check_ensemble  # imports its training code

        parity = check_ensemble(VARIANTS[variant], device)
    else:
        parity = check(VARIANTS[variant], backend, device)
    if not parity.passed:
        raise ParityError("; ".join(parity.failures))
    return parity


def _train(runs: Sequence[Run]) -> list[Training]:
    """Train runs whose backend is the notebook's own, or has passed the parity gate."""
    first = runs[0]
    if first.backend != VARIANTS[first.variant].backend:
        check_parity(first.variant, first.backend, first.device)
    return fit_runs(runs) if BACKENDS[first.backend].joint else [fit_run(first)]


def _epochs(run: Run, identity: str, training: Training) -> tuple[Epoch, ...]:
    rows: Any = training.history.to_dict(orient="records")
    return tuple(Epoch(identity, run.variant, run.backend, run.seed, **row) for row in rows)


def _result(training: Training) -> dict[str, Any]:
    history = training.history
    finite = np.isfinite(history[["train_loss", "valid_loss"]].to_numpy()).all()
    train_seconds = float(history["train_seconds"].sum())
    return {
        "status": OK if finite else DIVERGED,
        "train_seconds": train_seconds,
        "valid_seconds": float(history["valid_seconds"].sum()),
        "train_tokens_per_second": training.train_tokens * len(history) / train_seconds,
        "initial_weights_sha256": training.initial_weights_sha256,
        "weights_sha256": weights_sha256(training.model),
    }
