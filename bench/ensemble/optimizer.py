"""AdamW of all seeds at once, with the recipe's one-cycle schedule.

Source: Loshchilov and Hutter 2019, in the order of torch's ``AdamW``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.dispatch import pointwise_for
from bench.ensemble.parameters import Parameters
from hnrnn.training import BETAS, WEIGHT_DECAY, one_cycle
from hnrnn.variants import Variant


def schedule(variant: Variant, batches: int, steps: int, like: Tensor) -> Tensor:
    """Return what AdamW multiplies with at each of ``steps``, (steps, 4), typed ``like``.

    The columns: share of a weight that is kept, share of the gradient in its mean, of a step the
    size, the root of the second bias correction, each from the schedule of a full training of
    ``variant.epochs`` times ``batches``.
    """
    total, peak = variant.epochs * batches, variant.learning_rate
    rate = one_cycle(total, variant.pct_start, peak / 25, peak, peak / 25e4)
    momentum = one_cycle(total, variant.pct_start, 0.95, 0.85, 0.95)
    rows = [
        (
            1 - rate(step) * WEIGHT_DECAY,
            1 - momentum(step),
            -rate(step) / (1 - momentum(step) ** (step + 1)),
            (1 - BETAS[1] ** (step + 1)) ** 0.5,
        )
        for step in range(steps)
    ]
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


class AdamW:
    """The two means of every weight's gradient, and the step."""

    def __init__(self, parameters: Parameters) -> None:
        self.weights, self.gradients = parameters.flat_weights, parameters.flat_gradients
        self.means, self.squares, self.scratch = (torch.zeros_like(self.weights) for _ in range(3))
        self.pointwise = pointwise_for(self.weights)

    def step(self, coefficients: Tensor) -> None:
        """Move the weights by the gradients and a row of ``schedule``."""
        self.pointwise.adamw(
            self.weights, self.gradients, self.means, self.squares, coefficients, self.scratch
        )
