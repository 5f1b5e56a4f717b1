"""The calibration workload: a fixed piece of work that tells how fast the machine is tonight.

It is a training step in plain torch, of the models' sizes: an Elman network goes through 20 tokens,
its outputs are scored, autograd goes back, and the weights are updated. Like a model's step it is
products and pointwise steps in many small calls, so that its time moves with the machine as theirs
does. Nothing else of this project takes part, nor do ``torch.nn`` and ``torch.optim``: a change
that slows all of these leaves the workload as it was.

The file is frozen. A change of what it does needs a new ``VERSION``, since times of different
versions are not compared; a test holds the version to the code.
"""

from __future__ import annotations

import torch
from torch import Tensor

VERSION = "calibration workload 1"
ROWS, TOKENS, HIDDEN, WORDS = 64, 20, 64, 40


class CalibrationWorkload:
    """The workload on a device; every step does the same from the same numbers."""

    def __init__(self, device: str, dtype: torch.dtype) -> None:
        def numbers(*shape: int) -> Tensor:
            """Return numbers from -0.125 to 0.125 that are the same on every machine."""
            count = torch.Size(shape).numel()
            values = (torch.arange(count) * 7919 % 65521).double() / 65521 - 0.5
            return (values / 4).reshape(shape).to(device=device, dtype=dtype)

        self.x, self.h = numbers(TOKENS, ROWS, HIDDEN), numbers(ROWS, HIDDEN)
        shapes = ((HIDDEN, HIDDEN), (HIDDEN,), (HIDDEN, WORDS), (WORDS,))
        self.weights = [numbers(*shape).requires_grad_() for shape in shapes]
        self.y = (torch.arange(TOKENS * ROWS) * 7919 % WORDS).reshape(-1, 1).to(device)

    def step(self) -> list[Tensor]:
        """Do the work once, and return the updated weights; the workload's own stay as they are."""
        weight, bias, out_weight, out_bias = self.weights
        h, states = self.h, []
        for token in range(TOKENS):
            h = torch.tanh(torch.addmm(bias, h + self.x[token], weight))
            states.append(h)
        flat = torch.stack(states).reshape(-1, HIDDEN)
        scores = torch.addmm(out_bias, flat, out_weight)
        loss = -torch.log_softmax(scores, 1).gather(1, self.y).mean()
        gradients = torch.autograd.grad(loss, self.weights)
        return [_updated(*pair) for pair in zip(self.weights, gradients, strict=True)]


@torch.no_grad()
def _updated(weight: Tensor, gradient: Tensor) -> Tensor:
    """Return weights after one step of what AdamW does, without a state."""
    mean, square = 0.1 * gradient, 0.01 * gradient * gradient
    return weight * 0.999 - 1e-3 * mean / (square.sqrt() + 1e-8)
