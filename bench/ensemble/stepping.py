"""One training step of an ensemble, which is captured as a CUDA graph on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from torch import Tensor

from bench.backends.compiled import why_no_triton
from bench.backends.cuda_graph import CudaGraph
from bench.ensemble.batches import Batch
from bench.ensemble.models import EnsembleModel
from bench.ensemble.optimizer import AdamW

Step = Callable[[Batch, Tensor], Tensor]
"""Takes a batch and AdamW's factors, updates the weights, and returns the losses, (S,)."""


def kernel_of(device: str) -> str:
    """Return the name of what executes a step on ``cpu`` or ``cuda``."""
    if device == "cpu":
        return "ATen over all seeds, own backward"
    pointwise = "" if why_no_triton() else " and Triton"
    return f"CUDA graph over ATen{pointwise} over all seeds, own backward"


def stepper(ensemble: EnsembleModel, optimizer: AdamW) -> Step:
    """Return the step for the device that the ensemble is on."""

    def step(batch: Batch, factors: Tensor) -> Tensor:
        losses = ensemble.train(batch)
        optimizer.step(factors)
        return losses

    return CapturedStep(step) if ensemble.parameters.flat_weights.is_cuda else step


class CapturedStep:
    """A step over fixed tensors, to which every batch is copied."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.graph: CudaGraph | None = None

    def __call__(self, batch: Batch, factors: Tensor) -> Tensor:
        """Do the step."""
        if self.graph is None:
            self.graph = CudaGraph(factors.device)
            self.batch = Batch(*(tensor.clone() for tensor in _tensors(batch)))
            self.factors = factors.clone()
        for fixed, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            fixed.copy_(given)
        self.factors.copy_(factors)
        return self.graph.call(lambda: self.step(self.batch, self.factors))


def _tensors(batch: Batch) -> list[Tensor]:
    return [getattr(batch, field.name) for field in fields(batch)]
