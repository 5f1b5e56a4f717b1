"""``graphed`` and ``graphed_loop``: the whole training step as one CUDA graph.

Everything that changes between steps is copied into fixed tensors: the batch, AdamW's factors and
the kept hidden state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from bench.backends.cuda_graph import CudaGraph
from bench.backends.custom_hoisted import CustomHoisted
from bench.backends.nn import NN
from hnrnn.models import FullyConnected
from hnrnn.optimizer import BETAS, EPS, adamw_factors
from hnrnn.variants import Variant

NEEDS_GPU = "needs a GPU: a CPU has no CUDA graphs"


class GraphedStep:
    """Forward, loss, backward and AdamW for one batch: captured once, then replayed.

    The warm-up steps are ordinary steps of the training.
    """

    def __init__(self, model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.model, self.loss = model, loss
        self.parameters: list[Tensor] = list(model.parameters())
        self.means = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in self.parameters]
        like = self.parameters[0]
        self.factors = torch.zeros(5, dtype=like.dtype, device=like.device)
        kept = dict(model.named_buffers()).get("h")
        self.h = None if kept is None else kept.clone()
        self.count = 0
        self.graph = CudaGraph(like.device)

    def __call__(self, x: Tensor, y: Tensor, learning_rate: float, momentum: float) -> Tensor:
        """Train on a batch, which always has the same shape; return its loss, a scalar tensor."""
        self.count += 1
        if self.count == 1:
            self.x, self.y = x.clone(), y.clone()
        self.x.copy_(x)
        self.y.copy_(y)
        self._take_state()
        # One by one: copying a tensor from the CPU would wait until the GPU is idle.
        values = (momentum, *adamw_factors(self.count, learning_rate, momentum))
        for factor, value in zip(self.factors.unbind(), values, strict=True):
            factor.fill_(value)
        return self.graph.call(self._compute)

    def check_captured(self) -> None:
        """Raise NotCapturedError if there is a GPU and no step has been captured."""
        if self.graph.missing:
            raise NotCapturedError(f"no CUDA graph was captured in {self.count} training steps")

    def _compute(self) -> Tensor:
        if self.h is not None:
            self.model.h = self.h.clone()  # the backward needs the present value of self.h
        loss = self.loss(self.model(self.x), self.y)
        gradients = torch.autograd.grad(loss, self.parameters)
        self._take_state()
        self._update(gradients)
        return loss.detach()

    def _take_state(self) -> None:
        """Copy the model's kept state into the fixed tensor if the model has replaced it."""
        if self.h is not None and self.model.h is not self.h:
            self.h.copy_(cast("Tensor", self.model.h))
            self.model.h = self.h

    @torch.no_grad()
    def _update(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters by AdamW. Source: Loshchilov and Hutter 2019, as in torch."""
        gradients = list(gradients)
        kept, decay, added, step_size, root_correction = self.factors.unbind()
        torch._foreach_mul_(self.parameters, decay)
        torch._foreach_mul_(self.means, kept)
        torch._foreach_add_(self.means, torch._foreach_mul(gradients, added))
        torch._foreach_mul_(self.squares, BETAS[1])
        torch._foreach_addcmul_(self.squares, gradients, gradients, 1 - BETAS[1])
        denominators = list(torch._foreach_sqrt(self.squares))
        torch._foreach_div_(denominators, root_correction)
        torch._foreach_add_(denominators, EPS)
        updates = list(torch._foreach_div(self.means, denominators))
        torch._foreach_mul_(updates, step_size)
        torch._foreach_sub_(self.parameters, updates)


class NotCapturedError(Exception):
    """The steps of a graphed backend were launched kernel by kernel."""


class Graphed(NN):
    """The captured training step over PyTorch's recurrent modules."""

    name = "graphed"
    graphed = True
    why_not_on_cpu = NEEDS_GPU

    def kernel(self, variant: Variant, device: str) -> str:
        captured = "ATen" if variant.recurrence == "relu" else super().kernel(variant, device)
        return f"CUDA graph over {captured}"

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        return model


class GraphedLoop(CustomHoisted):
    """The captured training step over the hand-written loop of ``custom_hoisted``."""

    name = "graphed_loop"
    graphed = True
    kernel_name = "CUDA graph over ATen"
    why_not_on_cpu = NEEDS_GPU
