"""Losses and accuracy, and their history over the epochs of a training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from fastai.learner import Learner, Metric, Recorder
from torch import Tensor

SMOOTHING = 0.98
HISTORY_COLUMNS = ("epoch", "train_loss", "valid_loss", "accuracy")


def cross_entropy(scores: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """Return the mean over all tokens; ``scores`` is (batch, time, vocab), ``y`` (batch, time).

    With ``reduction="none"`` the result is not averaged: (batch * time,).
    """
    return F.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction=reduction)


def cross_entropy_of_last(scores: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
    """Return the mean over the last token of each row; ``scores`` is (batch, vocab).

    With ``reduction="none"`` the result is not averaged: (batch,).
    """
    return F.cross_entropy(scores, y[:, -1], reduction=reduction)


def correct(scores: Tensor, y: Tensor) -> tuple[Tensor, int]:
    """Return the number of correct predictions, a scalar tensor, and of all predictions.

    The shapes are those of the losses.
    """
    targets = y if scores.dim() > y.dim() else y[:, -1]
    return (scores.argmax(dim=-1) == targets).sum(), targets.numel()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_of_last": cross_entropy_of_last,
}


def history_table(rows: Sequence[Mapping[str, float]]) -> pd.DataFrame:
    """Return the rows of the epochs as ``hnrnn.training.Training.history``."""
    return pd.DataFrame(rows, columns=[*HISTORY_COLUMNS, "train_seconds", "valid_seconds"])


class SmoothedLoss:
    """The training loss as v1 smooths it: an exponential mean with bias correction.

    The mean runs on from epoch to epoch. It is computed in float32 whatever the model's dtype:
    float32's 0.98 and 0.02 add up to more than 1, which moves the column by up to 4e-6. (v2's
    ``AvgSmoothLoss`` rounds differently.)
    """

    def __init__(self) -> None:
        self.sums, self.count = np.zeros((), np.float32), 0

    def after_each(self, losses: Tensor) -> npt.NDArray[np.float32]:
        """Return the smoothed loss after each of the next batches.

        ``losses`` and the result are (batches,), or (batches, S) for S models.
        """
        kept, added = np.float32(SMOOTHING), np.float32(1 - SMOOTHING)
        result = losses.float().cpu().numpy().copy()
        for index, loss in enumerate(result):
            self.sums = kept * self.sums + added * loss
            self.count += 1
            result[index] = self.sums / np.float32(1 - SMOOTHING**self.count)
        return result


class TrainLoss(Metric):  # type: ignore[misc]  # fastai has no types
    """The smoothed training loss; ``smooth_losses`` has one per batch.

    Like those of the other metrics, a batch's loss stays on its device until a value is asked for:
    a GPU waits once per pass, not once per batch.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a training."""
        self.smoothed = SmoothedLoss()
        self.smooth_losses: list[float] = []
        self.waiting: list[Tensor] = []

    def accumulate(self, learn: Learner) -> None:
        """Keep the loss of a batch."""
        self.waiting.append(mean_loss(learn))

    @property
    def count(self) -> int:
        """The number of batches."""
        return len(self.smooth_losses) + len(self.waiting)

    def flush(self) -> None:
        """Smooth the losses that are waiting."""
        if self.waiting:
            self.smooth_losses += self.smoothed.after_each(torch.stack(self.waiting)).tolist()
            self.waiting.clear()

    @property
    def value(self) -> float:
        """The smoothed loss after the last batch; NaN before the first."""
        self.flush()
        return self.smooth_losses[-1] if self.smooth_losses else math.nan


class ValidLoss(Metric):  # type: ignore[misc]
    """The mean of the batches' losses, weighted by their rows."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a pass."""
        self.losses: list[Tensor] = []
        self.rows: list[int] = []

    def accumulate(self, learn: Learner) -> None:
        """Keep the loss of a batch."""
        self.losses.append(mean_loss(learn))
        self.rows.append(len(learn.yb[0]))

    @property
    def value(self) -> float:
        """The mean; NaN before the first batch."""
        if not self.losses:
            return math.nan
        return float(np.average(torch.stack(self.losses).tolist(), weights=self.rows))


class Accuracy(Metric):  # type: ignore[misc]
    """The share of correct predictions."""

    name = "accuracy"

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a pass."""
        self.correct: list[Tensor] = []
        self.targets = 0

    def accumulate(self, learn: Learner) -> None:
        """Keep the number of correct predictions of a batch."""
        right, targets = correct(learn.pred, *learn.yb)
        self.correct.append(right)
        self.targets += targets

    @property
    def value(self) -> float:
        """The share; NaN before the first batch."""
        if not self.targets:
            return math.nan
        return float(torch.stack(self.correct).sum()) / self.targets


def mean_loss(learn: Learner) -> Tensor:
    """Return the loss of the last batch as a scalar, if it was not averaged either."""
    loss: Tensor = learn.loss.detach()
    return loss if loss.dim() == 0 else loss.mean()


class EpochRecorder(Recorder):  # type: ignore[misc]
    """fastai's ``Recorder`` with v1's values, and with the seconds of every pass.

    The accuracy is one of the learner's metrics: ``Learner(metrics=[Accuracy()])``.
    """

    name = "recorder"

    def __init__(self) -> None:
        super().__init__()
        self.smooth_loss, self.loss = TrainLoss(), ValidLoss()

    def before_fit(self) -> None:
        """Start with an empty history."""
        super().before_fit()
        self.losses = self.smooth_loss.smooth_losses
        self.seconds: list[dict[str, float]] = []

    def before_epoch(self) -> None:
        """Start an epoch."""
        super().before_epoch()
        self.seconds_of_epoch: dict[str, float] = {}

    def before_train(self) -> None:
        """Start the clock of a training pass."""
        self.pass_start = time.perf_counter()

    def before_validate(self) -> None:
        """Start a validation pass and its clock."""
        super().before_validate()
        self.pass_start = time.perf_counter()

    def after_batch(self) -> None:
        """Keep what the metrics need of a batch."""
        if not self.learn.yb:
            return
        if self.training:
            self.smooth_loss.accumulate(self.learn)
            self.lrs.append(self.opt.hypers[-1]["lr"])
        else:
            for metric in self._valid_mets:
                metric.accumulate(self.learn)

    def after_cancel_train(self) -> None:
        """Take the values of a pass that was cut short, too."""

    def after_train(self) -> None:
        """Smooth the losses of the training pass."""
        super().after_train()
        self.seconds_of_epoch["train_seconds"] = time.perf_counter() - self.pass_start

    def after_validate(self) -> None:
        """Average the validation pass."""
        super().after_validate()
        self.seconds_of_epoch["valid_seconds"] = time.perf_counter() - self.pass_start

    def after_epoch(self) -> None:
        """Finish the epoch's row."""
        super().after_epoch()
        self.seconds.append(self.seconds_of_epoch)

    def after_fit(self) -> None:
        """Smooth the losses of a pass that was not finished."""
        self.smooth_loss.flush()

    def history(self) -> pd.DataFrame:
        """Return the last fit as ``hnrnn.training.Training.history``, one row per epoch."""
        names = self.metric_names[1:-1]  # between the epoch and the time
        rows = zip(self.values, self.seconds, strict=True)
        return history_table(
            [
                {"epoch": epoch, **dict(zip(names, values, strict=False)), **seconds}
                for epoch, (values, seconds) in enumerate(rows)
            ]
        )
