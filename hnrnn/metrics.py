"""Losses and accuracy, and their history over the epochs of a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from torch import Tensor

SMOOTHING = 0.98
HISTORY_COLUMNS = ("epoch", "train_loss", "valid_loss", "accuracy")


def cross_entropy(scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean over all tokens; ``scores`` is (batch, time, vocab), ``y`` (batch, time)."""
    return F.cross_entropy(scores.flatten(0, 1), y.flatten())


def cross_entropy_of_last(scores: Tensor, y: Tensor) -> Tensor:
    """Return the mean over the last token of each row; ``scores`` is (batch, vocab)."""
    return F.cross_entropy(scores, y[:, -1])


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

    def after(self, losses: Tensor) -> npt.NDArray[np.float32]:
        """Return the smoothed loss after a pass with ``losses``.

        ``losses`` is (batches,), or (batches, S) for S models; the result is a scalar or (S,).
        """
        kept, added = np.float32(SMOOTHING), np.float32(1 - SMOOTHING)
        for loss in losses.float().cpu().numpy():
            self.sums = kept * self.sums + added * loss
            self.count += 1
        result: npt.NDArray[np.float32] = self.sums / np.float32(1 - SMOOTHING**self.count)
        return result


class EpochRecorder(Callback):  # type: ignore[misc]  # fastai has no types
    """Record one row per epoch: smoothed training loss, validation loss, accuracy and seconds.

    Losses stay on their device until the end of a pass, so a GPU is synchronised twice per epoch.
    """

    order = 60

    def before_fit(self) -> None:
        """Start with an empty history."""
        self.rows: list[dict[str, float]] = []
        self.smoothed = SmoothedLoss()

    def before_train(self) -> None:
        """Start a pass and its clock."""
        self.losses: list[Tensor] = []
        self.correct: list[Tensor] = []
        self.row_counts: list[int] = []
        self.target_count = 0
        self.pass_start = time.perf_counter()

    before_validate = before_train

    def after_batch(self) -> None:
        """Keep the batch's loss and, in validation, its number of correct predictions."""
        self.losses.append(self.learn.loss.detach())
        if not self.training:
            right, targets = correct(self.learn.pred, *self.learn.yb)
            self.correct.append(right)
            self.target_count += targets
            self.row_counts.append(len(self.learn.yb[0]))

    def after_train(self) -> None:
        """Smooth the losses of the training pass."""
        self.row = {
            "epoch": self.epoch,
            "train_loss": float(self.smoothed.after(torch.stack(self.losses))),
            "train_seconds": time.perf_counter() - self.pass_start,
        }

    def after_validate(self) -> None:
        """Average the validation pass over its rows and targets, and finish the epoch's row."""
        losses = torch.stack(self.losses).tolist()
        self.row["valid_loss"] = float(np.average(losses, weights=self.row_counts))
        self.row["accuracy"] = float(torch.stack(self.correct).sum()) / self.target_count
        self.row["valid_seconds"] = time.perf_counter() - self.pass_start
        self.rows.append(self.row)
