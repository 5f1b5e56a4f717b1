"""The injected faults of ``bench.plan.faults``: each replaces ``hnrnn.training.fit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from torch import Tensor, nn

from bench.backends.recurrence import model_weights
from bench.execution.fault_callbacks import (
    BatchNormEval,
    BatchNormMomentum,
    BatchNormTrainsInValidation,
    ClippedGradients,
    FixedMomentum,
    HalfPrecision,
    LabelSmoothing,
    LastBatchMissing,
    LaterTargets,
    PassReset,
    ReversedRows,
    Setting,
    StateOfOtherLayer,
    StateReset,
    StopAfter,
)
from bench.plan.faults import FAULTS
from hnrnn import corpus
from hnrnn.metrics import LOSSES, Accuracy, EpochRecorder
from hnrnn.models import Model
from hnrnn.stream import Batch, numericalized
from hnrnn.training import Training, fit
from hnrnn.variants import Variant
from hnrnn.weights import DTYPES, initial_model, weights_sha256

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


def with_other_gate_order(
    variant: Variant, *, convert: Callable[[Model], nn.Module], **options: Any
) -> Training:
    """Train a GRU whose weights are loaded in the order of gates z, r, n instead of r, z, n."""

    def wrongly(model: Model) -> nn.Module:
        with torch.no_grad():
            for parameter in model_weights(model).values():
                r, z, n = parameter.clone().chunk(3)
                parameter.copy_(torch.cat([z, r, n]))
        return convert(model)

    return fit(variant, convert=wrongly, **options)


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
        metrics=[Accuracy()],
        cbs=[TrainEvalCallback(), recorder, PassReset(), StopAfter(epochs), *callbacks],
        default_cbs=False,
    )
    stated = {} if variant.pct_start == Variant.pct_start else {"pct_start": variant.pct_start}
    with learner.no_logging():
        learner.fit_one_cycle(variant.epochs, variant.learning_rate, **stated)
    train_tokens = sum(x.numel() for x, _ in loaders[0])
    history = recorder.history()
    return Training(variant, seed, history, train_tokens, initial_weights_sha256, executed)


FAULTY_FITS: Mapping[str, Fit] = MappingProxyType(
    {
        "lr_times_3": with_recipe(lambda v: replace(v, learning_rate=v.learning_rate * 3)),
        "lr_over_3": with_recipe(lambda v: replace(v, learning_rate=v.learning_rate / 3)),
        "weight_decay_0": with_callback(lambda: Setting("wd", 0.0)),
        "weight_decay_0.1": with_callback(lambda: Setting("wd", 0.1)),
        "state_reset": with_callback(StateReset),
        "targets_off_by_one": with_callback(LaterTargets),
        "bptt_70": with_recipe(lambda v: replace(v, bptt=70)),
        "batchnorm_eval": with_callback(BatchNormEval),
        "same_seed": with_seed_0,
        "momentum_fixed": with_callback(FixedMomentum),
        "fastai_v2_defaults": with_fastai_v2_defaults,
        "weight_decay_0.011": with_callback(lambda: Setting("wd", 0.011)),
        "lr_times_1.01": with_recipe(lambda v: replace(v, learning_rate=v.learning_rate * 1.01)),
        "adam_beta_0.999": with_callback(lambda: Setting("sqr_mom", 0.999)),
        "adam_eps_1e-5": with_callback(lambda: Setting("eps", 1e-5)),
        "gradient_clipping": with_callback(lambda: ClippedGradients(0.25)),
        "batch_missing": with_callback(LastBatchMissing),
        "label_smoothing": with_callback(lambda: LabelSmoothing(0.1)),
        "gate_order": with_other_gate_order,
        "state_of_other_layer": with_callback(StateOfOtherLayer),
        "half_precision": with_callback(HalfPrecision),
        "batchnorm_momentum": with_callback(lambda: BatchNormMomentum(0.01)),
        "batchnorm_trains_in_validation": with_callback(BatchNormTrainsInValidation),
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
