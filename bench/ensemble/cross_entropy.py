"""The cross-entropy of every seed, and its gradient in closed form: softmax minus one-hot."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.batches import Batch


def mean_losses(log_probabilities: Tensor, batch: Batch) -> Tensor:
    """Return each seed's mean loss, (S,), from log-probabilities, (S, M, V)."""
    targets = batch.targets[None, :, None].expand(len(log_probabilities), -1, 1)
    return log_probabilities.gather(2, targets).mean((1, 2)).neg_()


def losses_and_gradient(scores: Tensor, batch: Batch, out: Tensor) -> Tensor:
    """Return the losses, (S,), and set ``out`` to their gradients for ``scores``, (S, M, V)."""
    torch.log_softmax(scores, 2, out=out)
    losses = mean_losses(out, batch)
    out.exp_().sub_(batch.targets_one_hot).div_(scores.shape[1])
    return losses


def losses_and_correct(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the losses and the numbers of correct predictions, both (S,)."""
    losses = mean_losses(scores.log_softmax(2), batch)
    return losses, (scores.argmax(2) == batch.targets).sum(1)
