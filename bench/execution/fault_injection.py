"""The injected faults of ``bench.plan.faults``: each replaces ``hnrnn.training.fit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fastai.callback.core import Callback, CancelFitException, TrainEvalCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from torch import Tensor, nn

from bench.plan.faults import FAULTS
from hnrnn import corpus
from hnrnn.metrics import LOSSES, EpochRecorder, history_table
from hnrnn.models import Model
from hnrnn.optimizer import BETAS
from hnrnn.stream import Batch, numericalized
from hnrnn.training import DTYPES, Training, fit, initial_model, weights_sha256
from hnrnn.variants import Variant

Fit = Callable[..., Training]
"""Takes the arguments that ``bench.execution.fitting`` passes to ``hnrnn.training.fit``."""


def with_recipe(change: Callable[[Variant], Variant]) -> Fit:
    """Return a ``fit`` with a changed recipe."""
    return lambda variant, **options: fit(change(variant), **options)


def with_callback(make: Callable[[], Callback]) -> Fit:
    """Return a ``fit`` with an additional callback."""

    def faulty(variant: Variant, *, callbacks: Sequence[Callback] = (), **options: Any) -> Training:
        return fit(variant, callbacks=[*callbacks, make()], **options)

    return faulty


def with_seed_0(variant: Variant, **options: Any) -> Training:
    """Train with seed 0 in place of the given seed."""
    return fit(variant, **(options | {"seed": 0}))


class WeightDecay(Callback):  # type: ignore[misc]  # fastai has no types
    """Set another weight decay."""

    def __init__(self, value: float) -> None:
        self.value = value

    def before_fit(self) -> None:
        """Set the weight decay once, because it has no schedule."""
        self.opt.set_hyper("wd", self.value)


class FixedMomentum(Callback):  # type: ignore[misc]
    """Keep the momentum at its first value, against the schedule."""

    order, run_valid = 61, False  # after the schedule, which sets both hyperparameters at 60

    def before_batch(self) -> None:
        """Set the schedule's first value."""
        self.opt.set_hyper("mom", BETAS[0])


class StateReset(Callback):  # type: ignore[misc]
    """Set the kept hidden state to zero before every batch."""

    def before_batch(self) -> None:
        """Reset the state that the previous batch left."""
        reset_state(self.model)


class PassReset(Callback):  # type: ignore[misc]
    """Set the kept hidden state to zero whenever fastai v2's ``ModelResetter`` would."""

    def before_train(self) -> None:
        """Reset the state that the previous pass left."""
        reset_state(self.model)

    before_validate = before_train


def reset_state(model: nn.Module) -> None:
    """Set the model's kept hidden state to zero, if it has one."""
    h = getattr(model, "h", None)
    if isinstance(h, Tensor):
        model.h = torch.zeros_like(h)


class LaterTargets(Callback):  # type: ignore[misc]
    """Shift y by one more token."""

    def before_batch(self) -> None:
        """Drop the first target of each row, and append the first one of the next batch."""
        (y,) = self.learn.yb
        _, next_y = self.dl.batch(self.iter + 1)
        self.learn.yb = (torch.cat([y[:, 1:], next_y[:, :1]], dim=1),)


class BatchNormEval(Callback):  # type: ignore[misc]
    """Keep BatchNorm in eval mode: it uses its running statistics and does not update them."""

    def before_train(self) -> None:
        """Set eval mode again after the ``Learner`` has set training mode."""
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()


class ReversedRows(Callback):  # type: ignore[misc]
    """Reverse the rows of every batch, and with them those of a kept state, which starts at 0."""

    def before_batch(self) -> None:
        """Reverse the rows of x and y."""
        self.learn.xb = tuple(x.flip(0) for x in self.learn.xb)
        self.learn.yb = tuple(y.flip(0) for y in self.learn.yb)


class StopAfter(Callback):  # type: ignore[misc]
    """Stop the fit after ``epochs``, with the schedule of the full recipe."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def after_epoch(self) -> None:
        """Stop after the last epoch."""
        if self.epoch + 1 == self.epochs:
            raise CancelFitException


class ReadyBatches(list[Batch]):
    """The batches of a pass, as a loader for fastai's ``DataLoaders``."""

    def to(self, device: torch.device) -> None:
        """Move the batches to ``device``."""
        self[:] = [(x.to(device), y.to(device)) for x, y in self]


def lm_batches(numbers: npt.NDArray[np.int64], bptt: int, bs: int) -> ReadyBatches:
    """Return the batches of fastai v2's ``LMDataLoader`` for ``numbers``, shape (tokens,).

    The rows of the last batch are shorter than ``bptt``.
    """
    from fastai.text.data import LMDataLoader  # slow to load

    loader = LMDataLoader([torch.from_numpy(numbers)], bs=bs, seq_len=bptt)
    return ReadyBatches((x.as_subclass(Tensor), y.as_subclass(Tensor)) for x, y in loader)


def with_fastai_v2_defaults(
    variant: Variant,
    *,
    seed: int,
    dtype: str,
    device: str,
    initialisation: str,
    epochs: int,
    convert: Callable[[Model], nn.Module],
    callbacks: Sequence[Callback] = (),
) -> Training:
    """Train with fastai v2's defaults for everything that the recipe does not state.

    They are the batches of ``LMDataLoader``, the resets of ``ModelResetter``, ``Adam`` with eps
    1e-5 and no decay of BatchNorm and biases, and ``fit_one_cycle`` with pct_start 0.25.
    """
    model = initial_model(variant, seed, initialisation=initialisation)
    model = model.to(device=device, dtype=DTYPES[dtype])
    initial_weights_sha256 = weights_sha256(model)
    _, *splits = numericalized(corpus.generate())
    loaders = [lm_batches(numbers, variant.bptt, model.batch_size) for numbers in splits]
    recorder, executed = EpochRecorder(), convert(model)
    learner = Learner(
        DataLoaders(*loaders, device=torch.device(device)),
        executed,
        loss_func=LOSSES[variant.loss],
        cbs=[TrainEvalCallback(), recorder, PassReset(), StopAfter(epochs), *callbacks],
        default_cbs=False,
    )
    stated = {} if variant.pct_start == Variant.pct_start else {"pct_start": variant.pct_start}
    learner.fit_one_cycle(variant.epochs, variant.learning_rate, **stated)
    train_tokens = sum(x.numel() for x, _ in loaders[0])
    history = history_table(recorder.rows)
    return Training(variant, seed, history, train_tokens, initial_weights_sha256, executed)


FAULTY_FITS: Mapping[str, Fit] = MappingProxyType(
    {
        "lr_times_3": with_recipe(lambda v: replace(v, learning_rate=v.learning_rate * 3)),
        "lr_over_3": with_recipe(lambda v: replace(v, learning_rate=v.learning_rate / 3)),
        "weight_decay_0": with_callback(lambda: WeightDecay(0.0)),
        "weight_decay_0.1": with_callback(lambda: WeightDecay(0.1)),
        "state_reset": with_callback(StateReset),
        "targets_off_by_one": with_callback(LaterTargets),
        "bptt_70": with_recipe(lambda v: replace(v, bptt=70)),
        "batchnorm_eval": with_callback(BatchNormEval),
        "same_seed": with_seed_0,
        "momentum_fixed": with_callback(FixedMomentum),
        "fastai_v2_defaults": with_fastai_v2_defaults,
        "threads_2": fit,  # ``bench.execution.environment`` sets and records the threads
        "reordered_sum": with_callback(ReversedRows),
    }
)
"""The replacements of ``fit`` by the names of ``bench.plan.faults.FAULTS``."""


def faulty_fit(injected_fault: str, variant: Variant, backend: str) -> Fit:
    """Return the ``fit`` with a fault or control; raise ValueError if it does not apply."""
    reason = FAULTS[injected_fault].why_inapplicable(variant, backend)
    if reason:
        raise ValueError(f"{injected_fault} does not apply: {reason}")
    return FAULTY_FITS[injected_fault]
