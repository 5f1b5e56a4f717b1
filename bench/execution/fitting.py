"""What a run asks for, handed to the code that trains it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.backends import IMPLEMENTATIONS
from bench.backends.graphed import GraphedTraining
from bench.store.records import Run
from hnrnn.training import Training, fit
from hnrnn.variants import VARIANTS


def fit_run(run: Run) -> Training:
    """Train one run on its backend, with its injected fault if it has one.

    Raises ValueError where the fault does not apply, NotCapturedError where a graphed backend has
    captured nothing.
    """
    implementation, variant = IMPLEMENTATIONS[run.backend], VARIANTS[run.variant]
    train = fit
    if run.injected_fault is not None:
        from bench.execution.fault_injection import (
            faulty_fit,  # only such a run is trained by this code
        )

        train = faulty_fit(run.injected_fault, variant, run.backend)
    graphed = [GraphedTraining()] if implementation.graphed else []
    with implementation.settings():
        training = train(
            variant,
            seed=run.seed,
            dtype=run.dtype,
            device=run.device,
            initialisation=run.initialisation,
            epochs=run.epochs,
            convert=partial(implementation.convert, variant),
            callbacks=graphed,
        )
    for callback in graphed:
        callback.check_captured()
    return training


def fit_runs(runs: Sequence[Run]) -> list[Training]:
    """Train runs that differ in nothing but their seed as one ensemble, in their order."""
    from bench.ensemble.training import fit_many  # only an ensemble is trained by this code

    first = runs[0]
    return fit_many(
        first.variant,
        seeds=[run.seed for run in runs],
        dtype=first.dtype,
        device=first.device,
        initialisation=first.initialisation,
        epochs=first.epochs,
    )
