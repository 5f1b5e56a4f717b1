"""AdamW for all seeds at once, with the recipe's one-cycle schedule."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.dispatch import pointwise_for
from bench.ensemble.parameters import Parameters
from hnrnn.optimizer import adamw_factors, schedules
from hnrnn.variants import Variant


def factors_of_steps(variant: Variant, batches: int, steps: int, like: Tensor) -> Tensor:
    """Return AdamW's factors for the first ``steps`` of a training, (steps, 4), typed ``like``.

    The columns are those of ``adamw_factors``, but the step size is negative. The schedule is that
    of a full training, which has ``variant.epochs`` times ``batches`` steps.
    """
    values = schedules(variant, batches)
    rows = []
    for step in range(steps):
        factors = adamw_factors(step + 1, values["lr"](step), values["mom"](step))
        decay, added, step_size, root_correction = factors
        rows.append((decay, added, -step_size, root_correction))
    return torch.tensor(rows, dtype=like.dtype, device=like.device)


class AdamW:
    """The running means of every weight's gradient and its square, and the update."""

    def __init__(self, parameters: Parameters) -> None:
        self.weights, self.gradients = parameters.flat_weights, parameters.flat_gradients
        self.means, self.squares, self.scratch = (torch.zeros_like(self.weights) for _ in range(3))
        self.pointwise = pointwise_for(self.weights)

    def step(self, factors: Tensor) -> None:
        """Update the weights by the gradients and a row of ``factors_of_steps``."""
        self.pointwise.adamw(
            self.weights, self.gradients, self.means, self.squares, factors, self.scratch
        )
