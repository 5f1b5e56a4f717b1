"""The training of runs: each run is passed to the code that trains it."""

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

    Raises ValueError if the fault does not apply, NotCapturedError if a graphed backend has
    captured nothing.
    """
    implementation, variant = IMPLEMENTATIONS[run.backend], VARIANTS[run.variant]
    train = fit
    if run.injected_fault is not None:
        # Imported here, because this code is part of the id of such runs only.
        from bench.execution.fault_injection import faulty_fit

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
    """Train runs that differ only in their seed as one ensemble; return them in the same order."""
    # Imported here, because this code is part of the id of an ensemble's runs only.
    from bench.ensemble.training import fit_many

    first = runs[0]
    return fit_many(
        first.variant,
        seeds=[run.seed for run in runs],
        dtype=first.dtype,
        device=first.device,
        initialisation=first.initialisation,
        epochs=first.epochs,
    )
