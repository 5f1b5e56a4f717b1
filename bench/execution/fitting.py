"""The training of runs, by the code of their backend and injected fault."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastai.callback.core import Callback, CancelBatchException

from bench.backends import IMPLEMENTATIONS
from bench.backends.graphed import GraphedStep
from bench.store.records import Run
from hnrnn.training import Training, fit
from hnrnn.variants import VARIANTS


class GraphedTraining(Callback):  # type: ignore[misc]  # fastai has no types
    """Replace the training steps of a ``Learner`` by a ``GraphedStep``; validation is unchanged."""

    order = 70  # after the schedule has set the learning rate and the momentum of the step

    def before_fit(self) -> None:
        """Start with nothing captured."""
        self.step: GraphedStep | None = None

    def before_batch(self) -> None:
        """Do the whole training step, and cancel that of the ``Learner``."""
        if not self.training:
            return
        if self.step is None:
            self.step = GraphedStep(self.learn.model, self.learn.loss_func)
        hypers = self.learn.opt.hypers[0]
        self.learn.loss = self.step(self.learn.xb[0], self.learn.yb[0], hypers["lr"], hypers["mom"])
        raise CancelBatchException

    def check_captured(self) -> None:
        """Raise NotCapturedError if there is a GPU and no step has been captured."""
        if self.step is not None:
            self.step.check_captured()


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
