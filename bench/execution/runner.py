"""One run: variant, backend and seed in, record out. Everything that trains goes through here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import numpy as np

from bench.backends import IMPLEMENTATIONS
from bench.execution.environment import (
    device_works,
    read_environment,
    read_provenance,
    reproducible_settings,
    threads_of,
)
from bench.execution.fitting import fit_run, fit_runs
from bench.execution.parity import Parity, check
from bench.store.records import (
    DIVERGED,
    ENSEMBLE,
    FAILED,
    LEARNER,
    OK,
    SKIPPED,
    Epoch,
    Outcome,
    Provenance,
    Record,
    Run,
    run_id,
)
from hnrnn.training import Training, weights_sha256
from hnrnn.variants import VARIANTS


def execute(run: Run, provenance: Provenance | None = None) -> Record:
    """Train as ``run`` says and return its record.

    An exception in the training becomes a record of status ``failed`` with the error, as does a
    backend that the parity gate refuses; one that cannot run on this device becomes a record of
    status ``skipped`` with the reason. Only KeyboardInterrupt and the like pass through, and
    DeviceFaultError where the exception has left the device unusable for this process.
    ``provenance``, the same for all runs of a night, is read here where it is not given. Raises
    ValueError for a run of another engine: its record would not say what trained it.
    """
    if run.engine != LEARNER:
        raise ValueError(f"{run.label} is for the engine {run.engine}, not for {LEARNER}")
    implementation = IMPLEMENTATIONS[run.backend]
    with reproducible_settings(threads_of(run.injected_fault)):
        environment = read_environment(run.device, run.injected_fault)
        identity = run_id(run, environment)
        started_at, start = datetime.now(UTC), time.perf_counter()
        epochs: tuple[Epoch, ...] = ()
        result: dict[str, Any]
        kernel: str | None = None
        reason = implementation.why_unavailable(run.device)
        if reason:
            result = {"status": SKIPPED, "error": f"{run.backend} {reason}"}
        else:
            try:
                training = _train(run)
                epochs = _epochs(run, identity, training)
                result = _result(training)
                kernel = implementation.kernel(VARIANTS[run.variant], run.device)
            except Exception as error:  # noqa: BLE001  # whatever it is, it costs this run only
                result = {"status": FAILED, "error": _failure(error, run.device)}
        outcome = Outcome(
            kernel=kernel,
            started_at=started_at,
            ended_at=datetime.now(UTC),
            total_seconds=time.perf_counter() - start,
            **result,
        )
    return Record(
        identity, run, environment, provenance or read_provenance(run.device), outcome, epochs
    )


def execute_many(runs: Sequence[Run], provenance: Provenance | None = None) -> list[Record]:
    """Train runs that differ in nothing but their seed as one ensemble and return their records.

    The seconds of a record are its share of the ensemble's. An exception becomes a record of
    status ``failed`` of every run; otherwise as ``execute``. Raises ValueError for runs that are no
    ensemble.
    """
    first = runs[0]
    if first.engine != ENSEMBLE or {replace(run, seed=first.seed) for run in runs} != {first}:
        raise ValueError("an ensemble's runs are all for it, and differ in nothing but their seed")
    from bench.ensemble.stepping import kernel_of  # only an ensemble is trained by this code

    with reproducible_settings():
        environment = read_environment(first.device, engine=ENSEMBLE)
        started_at, start = datetime.now(UTC), time.perf_counter()
        trainings: list[Training] = []
        error = None
        try:
            trainings = fit_runs(runs)
        except Exception as raised:  # noqa: BLE001  # whatever it is, it costs these runs only
            error = _failure(raised, first.device)
        shared: dict[str, Any] = {
            "kernel": None if error else kernel_of(first.device),
            "started_at": started_at,
            "ended_at": datetime.now(UTC),
            "total_seconds": (time.perf_counter() - start) / len(runs),
        }
    provenance = provenance or read_provenance(first.device)
    records = []
    for number, run in enumerate(runs):
        identity = run_id(run, environment)
        result: dict[str, Any] = {"status": FAILED, "error": error}
        epochs: tuple[Epoch, ...] = ()
        if error is None:
            result = _result(trainings[number])
            epochs = _epochs(run, identity, trainings[number])
        outcome = Outcome(**shared, **result)
        records.append(Record(identity, run, environment, provenance, outcome, epochs))
    return records


class DeviceFaultError(Exception):
    """Nothing more can be computed on the device in this process: one error breaks its context."""


def _failure(error: Exception, device: str) -> str:
    """Return what a failed run's record says; raise DeviceFaultError where the device is broken."""
    if not device_works(device):
        raise DeviceFaultError(str(error)) from error
    return f"{type(error).__name__}: {error}"


class ParityError(Exception):
    """The backend does not compute what the reference does."""


@cache
def check_parity(variant: str, backend: str, device: str) -> Parity:
    """Return what the parity gate finds, once a process; raise ParityError where it is shut."""
    parity = check(VARIANTS[variant], backend, device)
    if not parity.passed:
        raise ParityError("; ".join(parity.failures))
    return parity


def _train(run: Run) -> Training:
    """Train a run whose backend has passed the parity gate, or is the notebook's own."""
    if run.backend != VARIANTS[run.variant].backend:
        check_parity(run.variant, run.backend, run.device)
    return fit_run(run)


def _epochs(run: Run, identity: str, training: Training) -> tuple[Epoch, ...]:
    rows = cast("list[dict[str, Any]]", training.history.to_dict(orient="records"))
    return tuple(
        Epoch(run_id=identity, variant=run.variant, backend=run.backend, seed=run.seed, **row)
        for row in rows
    )


def _result(training: Training) -> dict[str, Any]:
    """Return what a training that went to its end adds to an ``Outcome``."""
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
