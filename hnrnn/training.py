"""One training: fastai v1's semantics from fastai v2's ``Learner``.

fastai 1.0.61 differs from v2's defaults in the batch stream (``hnrnn.stream``), in AdamW and the
one-cycle schedule (``hnrnn.optimizer``), in the smoothed training loss (``hnrnn.metrics``), and in
the hidden state, which is never reset, not even between training and validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch import nn

from hnrnn.metrics import HISTORY_COLUMNS, LOSSES, EpochRecorder, history_table
from hnrnn.models import Model, build_model
from hnrnn.optimizer import adamw, schedules
from hnrnn.settings import pinned_settings
from hnrnn.stream import language_model_data
from hnrnn.variants import LARGEST_SEED, Variant, find_variant

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}


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


@pinned_settings()
def initial_model(
    variant: str | Variant, seed: int, *, initialisation: str = "ones", **sizes: object
) -> Model:
    """Return the variant's model with the initial weights of ``seed``: float32, on the CPU.

    ``initialisation`` is one of ``hnrnn.models.INITIALISATIONS``. torch's random state is
    restored. Raises ValueError for an invalid seed, initialisation or size.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return build_model(variant, initialisation=initialisation, **sizes)


def set_weights(model: nn.Module, weights: Mapping[str, Any]) -> None:
    """Copy ``weights``, arrays or tensors by parameter name, into ``model``.

    Parameters that are not named keep their values. Raises ValueError for a name or a shape that
    the model does not have.
    """
    parameters = dict(model.named_parameters())
    for name, values in weights.items():
        if name not in parameters:
            raise ValueError(f"no parameter {name!r}: the model has {', '.join(parameters)}")
        tensor = torch.as_tensor(values)
        parameter = parameters[name]
        if tensor.shape != parameter.shape:
            raise ValueError(
                f"{name} has shape {tuple(parameter.shape)}, not {tuple(tensor.shape)}"
            )
        with torch.no_grad():
            parameter.copy_(tensor)


def check_arguments(variant: Variant, dtype: str, epochs: int | None) -> None:
    """Raise ValueError for an unknown dtype, and for more epochs than the recipe has."""
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}: choose from {', '.join(DTYPES)}")
    if epochs is not None and not 1 <= epochs <= variant.epochs:
        raise ValueError(
            f"epochs must be from 1 to {variant.epochs} for {variant.name}, not {epochs}"
        )


@pinned_settings()
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
    convert: Callable[[Model], nn.Module] = lambda model: model,
    callbacks: Sequence[Callback] = (),
) -> Training:
    """Train one model by its recipe and return its history, its seed and the trained model.

    Every training with a ``Learner`` goes through this function, under the settings of
    ``hnrnn.settings``. Two arguments let a backend execute the same mathematics in another way:
    ``convert`` takes the model with its initial weights and returns the module to train, and
    ``callbacks`` are added to those of the ``Learner``. The others are those of ``train``.
    """
    variant = find_variant(variant)
    check_arguments(variant, dtype, epochs)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    model = initial_model(variant, seed, initialisation=initialisation, **(sizes or {}))
    model = model.to(device=device, dtype=DTYPES[dtype])
    set_weights(model, initial_weights or {})
    initial_weights_sha256 = weights_sha256(model)

    dls = language_model_data(variant.bptt, model.batch_size, device)
    recorder = EpochRecorder()
    executed = convert(model)
    learner = Learner(
        dls,
        executed,
        loss_func=LOSSES[variant.loss],
        opt_func=partial(OptimWrapper, opt=adamw),
        lr=variant.learning_rate,
        cbs=[TrainEvalCallback(), recorder, *callbacks],
        default_cbs=False,
    )
    epochs_run = variant.epochs if epochs is None else epochs
    learner.fit(epochs_run, cbs=_schedule(variant, len(dls.train), epochs_run))
    train_tokens = len(dls.train) * dls.train.bs * dls.train.bptt
    history = history_table(recorder.rows)
    return Training(variant, seed, history, train_tokens, initial_weights_sha256, executed)


def _schedule(variant: Variant, batches: int, epochs_run: int) -> ParamScheduler:
    """Return the full recipe's schedule of ``lr`` and ``mom`` as a callback.

    fastai passes the completed share of the fit; rounding turns it into the exact step.
    """

    def at_share(value: Callable[[int], float], share: float) -> float:
        return value(round(share * epochs_run * batches))

    values = schedules(variant, batches).items()
    return ParamScheduler({name: partial(at_share, value) for name, value in values})


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


def weights_sha256(model: nn.Module) -> str:
    """Return the hexadecimal digest of a model's state dict: names, dtypes, shapes and bits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        array: npt.NDArray[Any] = tensor.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
