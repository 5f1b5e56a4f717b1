"""One training: fastai v1's semantics from fastai v2's ``Learner``.

What fastai 1.0.61 does, and v2's defaults do not: the batch stream (``hnrnn.stream``), AdamW on
every parameter with eps 1e-8 and weight decay 0.01, a one-cycle schedule whose phases end at a
whole step, a smoothed training loss that runs on through the epochs, and a hidden state that is
never reset, not even between training and validation.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch import Tensor, nn

from hnrnn.models import Model, build_model
from hnrnn.settings import pinned_settings
from hnrnn.stream import language_model_data
from hnrnn.variants import LARGEST_SEED, Variant, find_variant

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
INITIALISATIONS = ("ones", "uniform")

BETAS = (0.95, 0.99)
EPS = 1e-8
WEIGHT_DECAY = 0.01
SMOOTHING = 0.98

HISTORY_COLUMNS = ("epoch", "train_loss", "valid_loss", "accuracy")


@dataclass(frozen=True)
class Training:
    """What one training leaves behind.

    ``history`` has one row an epoch: ``epoch, train_loss, valid_loss, accuracy, train_seconds,
    valid_seconds``. ``train_tokens`` counts the input tokens of one training epoch.
    """

    variant: Variant
    seed: int
    history: pd.DataFrame
    train_tokens: int
    initial_weights_sha256: str
    model: nn.Module


def cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy over all tokens; scores (batch, time, vocab), y (batch, time)."""
    return F.cross_entropy(scores.flatten(0, 1), y.flatten())


def cross_entropy_of_last(scores: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy over each row's last token; scores (batch, vocab), y (batch, time)."""
    return F.cross_entropy(scores, y[:, -1])


def correct(scores: Tensor, y: Tensor) -> tuple[Tensor, int]:
    """Count right predictions (a scalar tensor) and predictions; shapes as in the losses."""
    targets = y if scores.dim() > y.dim() else y[:, -1]
    return (scores.argmax(dim=-1) == targets).sum(), targets.numel()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_of_last": cross_entropy_of_last,
}


def one_cycle(
    steps: int, pct_start: float, start: float, middle: float, end: float
) -> Callable[[int], float]:
    """Return the value at a step: a cosine from ``start`` to ``middle``, then one to ``end``.

    The first phase takes ``int(steps * pct_start)`` of the ``steps``, as in fastai 1.0.61's
    ``OneCycleScheduler``.
    """
    rising = int(steps * pct_start)

    def value(step: int) -> float:
        if step <= rising and rising > 0:
            return _cosine(start, middle, step / rising)
        return _cosine(middle, end, (step - rising) / (steps - rising))

    return value


def _cosine(start: float, end: float, position: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * position) + 1)


class SmoothedLoss:
    """A training loss as v1 smooths it: an exponential mean with bias correction.

    It is carried on through the epochs, in float32 whatever the model's dtype: float32's 0.98 and
    0.02 add up to more than 1, which moves the column by up to 4e-6. (v2's ``AvgSmoothLoss`` rounds
    otherwise.)
    """

    def __init__(self) -> None:
        self.sums, self.count = np.zeros((), np.float32), 0

    def after(self, losses: Tensor) -> npt.NDArray[np.float32]:
        """Return it after a pass's ``losses``, (batches,), or (batches, S) of S models."""
        kept, added = np.float32(SMOOTHING), np.float32(1 - SMOOTHING)
        for loss in losses.float().cpu().numpy():
            self.sums = kept * self.sums + added * loss
            self.count += 1
        result: npt.NDArray[np.float32] = self.sums / np.float32(1 - SMOOTHING**self.count)
        return result


class EpochRecorder(Callback):  # type: ignore[misc]  # fastai has no types
    """Record one row an epoch: smoothed training loss, validation loss, accuracy, seconds.

    Losses stay on their device until the end of a pass, so that a GPU is waited for twice an epoch.
    """

    order = 60

    def before_fit(self) -> None:
        """Start with nothing recorded."""
        self.rows: list[dict[str, float]] = []
        self.smoothed = SmoothedLoss()

    def before_train(self) -> None:
        """Start the clock of the training pass."""
        self._start_pass()

    def before_validate(self) -> None:
        """Start the clock of the validation pass."""
        self._start_pass()

    def _start_pass(self) -> None:
        self.losses: list[Tensor] = []
        self.correct: list[Tensor] = []
        self.row_counts: list[int] = []
        self.target_count = 0
        self.pass_start = time.perf_counter()

    def after_batch(self) -> None:
        """Keep the batch's loss, and in validation its number of right predictions."""
        self.losses.append(self.learn.loss.detach())
        if not self.training:
            right, targets = correct(self.learn.pred, *self.learn.yb)
            self.correct.append(right)
            self.target_count += targets
            self.row_counts.append(len(self.learn.yb[0]))

    def after_train(self) -> None:
        """Smooth the pass's losses, in order and in float32."""
        self.row = {
            "epoch": self.epoch,
            "train_loss": float(self.smoothed.after(torch.stack(self.losses))),
            "train_seconds": time.perf_counter() - self.pass_start,
        }

    def after_validate(self) -> None:
        """Average the pass over its rows and targets, and add the epoch's row."""
        losses = torch.stack(self.losses).tolist()
        self.row["valid_loss"] = float(np.average(losses, weights=self.row_counts))
        self.row["accuracy"] = float(torch.stack(self.correct).sum()) / self.target_count
        self.row["valid_seconds"] = time.perf_counter() - self.pass_start
        self.rows.append(self.row)

    @property
    def history(self) -> pd.DataFrame:
        """The rows so far, as ``Training.history``."""
        columns = [*HISTORY_COLUMNS, "train_seconds", "valid_seconds"]
        return pd.DataFrame(self.rows, columns=columns)


@pinned_settings()
def initial_model(
    variant: str | Variant,
    seed: int,
    *,
    initialisation: str = "ones",
    **sizes: object,
) -> Model:
    """Return the variant's model with the weights of ``seed``: float32, on the CPU.

    The caller's random state is left as it was. ``initialisation`` is where the BatchNorm weights
    start: at 1 (``ones``), or drawn from U(0, 1) (``uniform``, PyTorch before 1.2); they are drawn
    last, so that all other weights are the same for both. Raises ValueError for a bad seed,
    initialisation or size.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed must be from 0 to 2**32 - 1, not {seed}")
    if initialisation not in INITIALISATIONS:
        raise ValueError(
            f"unknown initialisation {initialisation!r}: choose from {', '.join(INITIALISATIONS)}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build_model(variant, **sizes)
        if initialisation == "uniform":
            for module in model.modules():
                if isinstance(module, nn.BatchNorm1d):
                    nn.init.uniform_(module.weight)
    return model


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
    """Raise ValueError for an unknown dtype, and for epochs that the recipe has not."""
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

    Everything that trains goes through here, under the settings of ``hnrnn.settings``. The
    arguments are those of ``train``, and two by which the same mathematics is executed otherwise:
    ``convert`` makes of the model with its initial weights the one that is trained, and
    ``callbacks`` are added to the ``Learner``'s.
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
        opt_func=partial(
            OptimWrapper, opt=torch.optim.AdamW, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY
        ),
        lr=variant.learning_rate,
        cbs=[TrainEvalCallback(), recorder, *callbacks],
        default_cbs=False,
    )
    epochs_run = variant.epochs if epochs is None else epochs
    learner.fit(epochs_run, cbs=_schedule(variant, len(dls.train), epochs_run))
    train_tokens = len(dls.train) * dls.train.bs * dls.train.bptt
    return Training(variant, seed, recorder.history, train_tokens, initial_weights_sha256, executed)


def _schedule(variant: Variant, batches: int, epochs_run: int) -> ParamScheduler:
    """Return the full recipe's schedule of ``lr`` and ``mom``, step by step.

    fastai gives a schedule the share of the fit that is done; rounding makes it the exact step.
    """
    steps = variant.epochs * batches
    peak = variant.learning_rate
    values = {
        "lr": one_cycle(steps, variant.pct_start, peak / 25, peak, peak / 25e4),
        "mom": one_cycle(steps, variant.pct_start, 0.95, 0.85, 0.95),
    }

    def at_share(value: Callable[[int], float], share: float) -> float:
        return value(round(share * epochs_run * batches))

    return ParamScheduler({name: partial(at_share, value) for name, value in values.items()})


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
        variant: a name, ``Model0`` to ``Model7``, or a ``Variant``, such as one of these with
            another recipe: ``dataclasses.replace(VARIANTS["Model5"], bptt=40)``.
        seed: what the initial weights are drawn from, 0 or more; None takes a fresh one, which
            the result names in ``attrs["seed"]``. The same seed starts from the same weights on
            every device and in every dtype.
        dtype: ``float32`` or ``float64``.
        device: where to train, in torch's words.
        initial_weights: arrays or tensors by parameter name, in the parameters' shapes;
            parameters that are not named keep the seed's.
        epochs: stop after so many; the schedule stays that of the full recipe.
        initialisation: of the BatchNorm weights: ``ones``, or ``uniform`` on (0, 1) as in PyTorch
            before 1.2.
        sizes: of the model, where they are not the notebook's; see ``build_model``.

    torch's settings, such as the default dtype or autocast, do not reach the training: it pins its
    own and puts the caller's back. Only the number of CPU threads is the caller's.

    Returns:
        One row an epoch: ``epoch`` (from 0), ``train_loss`` (smoothed), ``valid_loss`` (both mean
        cross-entropies in nats a token) and ``accuracy`` (a share of the predicted tokens).

    Raises:
        ValueError: an argument is none of these, or a setting of torch cannot be undone; the
            message says what would be right.

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
