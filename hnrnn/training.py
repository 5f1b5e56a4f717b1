"""One training by its recipe: what ``hnrnn.learner`` does, as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from fastai.callback.core import Callback
from torch import nn

from hnrnn.metrics import HISTORY_COLUMNS
from hnrnn.models import Model
from hnrnn.optimizer import schedules
from hnrnn.v1_learner import learner
from hnrnn.variants import Variant, find_variant
from hnrnn.weights import find_dtype


@dataclass(frozen=True)
class Training:
    """The result of one training.

    ``history`` has one row per epoch, with the columns ``epoch``, ``train_loss``, ``valid_loss``,
    ``accuracy``, ``train_seconds`` and ``valid_seconds``. ``train_tokens`` is the number of input
    tokens in one training epoch.
    """

    variant: Variant
    seed: int
    history: pd.DataFrame
    train_tokens: int
    initial_weights_sha256: str
    model: nn.Module


def check_arguments(variant: Variant, dtype: str, epochs: int | None) -> None:
    """Raise ValueError for an unknown dtype, and for more epochs than the recipe has."""
    find_dtype(dtype)
    if epochs is not None and not 1 <= epochs <= variant.epochs:
        raise ValueError(
            f"epochs must be from 1 to {variant.epochs} for {variant.name}, not {epochs}"
        )


def fit(
    variant: str | Variant,
    *,
    seed: int | None = None,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    initialisation: str = "ones",
    initial_weights: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    sizes: Mapping[str, int] | None = None,
    convert: Callable[[Model], nn.Module] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Training:
    """Train one model by its recipe and return its history, its seed and the trained model.

    It is the training of ``hnrnn.learner``, without a progress bar. Two arguments let a backend
    execute the same mathematics in another way: ``convert`` takes the model with its initial
    weights and returns the module to train, and ``callbacks`` are added to those of the
    ``Learner``. The others are those of ``train``.
    """
    variant = find_variant(variant)
    check_arguments(variant, dtype, epochs)
    learn = learner(
        variant,
        seed=seed,
        dtype=dtype,
        device=device,
        initialisation=initialisation,
        initial_weights=initial_weights,
        sizes=sizes,
        convert=convert,
        cbs=callbacks,
    )
    stream = learn.dls.train
    with learn.no_bar(), learn.no_logging():
        learn.fit_by_steps(epochs or variant.epochs, schedules(variant, len(stream)))
    train_tokens = len(stream) * stream.bs * stream.bptt
    history, digest = learn.recorder.history(), learn.initial_weights_sha256
    return Training(variant, learn.seed, history, train_tokens, digest, learn.model)


def train(
    variant: str | Variant,
    *,
    seed: int | None = None,
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    initial_weights: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    initialisation: str = "ones",
    sizes: Mapping[str, int] | None = None,
) -> pd.DataFrame:
    """Train one of the notebook's models and return the table that the notebook prints.

    Args:
        variant: a name, ``Model0`` to ``Model7``, or a ``Variant``, for example one with a changed
            recipe: ``dataclasses.replace(VARIANTS["Model5"], bptt=40)``.
        seed: determines the initial weights, 0 or more. The same seed gives the same weights on
            every device and in every dtype. With None a fresh seed is drawn; the result has it in
            ``attrs["seed"]``.
        dtype: ``float32`` or ``float64``.
        device: the torch device to train on, such as ``cpu`` or ``cuda``.
        initial_weights: arrays or tensors by parameter name, in the parameters' shapes;
            parameters that are not named keep the seed's weights.
        epochs: stop after this many epochs; the schedule stays that of the full recipe.
        initialisation: of the BatchNorm weights: ``ones``, or ``uniform`` on (0, 1) as in PyTorch
            before 1.2.
        sizes: model sizes that differ from the notebook's; see ``build_model``.

    torch's global settings, such as the default dtype or autocast, do not affect the training: it
    sets its own and restores the caller's. Only the number of CPU threads is left to the caller.

    Returns:
        One row per epoch: ``epoch`` (from 0), ``train_loss`` (smoothed), ``valid_loss`` (both mean
        cross-entropies in nats per token) and ``accuracy`` (the share of correct predictions).

    Raises:
        ValueError: an argument is invalid, or a setting of torch cannot be overridden; the message
            says what would be valid.

    Source of the semantics: fastai 1.0.61's ``Learner.fit_one_cycle``.
    """
    training = fit(
        variant,
        seed=seed,
        dtype=dtype,
        device=device,
        initialisation=initialisation,
        initial_weights=initial_weights,
        epochs=epochs,
        sizes=sizes,
    )
    table = training.history.loc[:, list(HISTORY_COLUMNS)].copy()
    table.attrs["seed"] = training.seed
    return table
