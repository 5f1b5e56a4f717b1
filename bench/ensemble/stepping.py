"""One training step of an ensemble: as it is, or on a GPU captured once as a graph and replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from torch import Tensor

from bench.backends.compiled import triton_unavailable
from bench.backends.cuda_graph import CudaGraph
from bench.ensemble.batches import Batch
from bench.ensemble.models import EnsembleModel
from bench.ensemble.optimizer import AdamW

Step = Callable[[Batch, Tensor], Tensor]
"""Takes a batch and AdamW's coefficients, moves the weights, and returns the losses, (S,)."""


def kernel_of(device: str) -> str:
    """Return what executes a step on ``cpu`` or ``cuda``."""
    if device == "cpu":
        return "ATen over all seeds, own backward"
    pointwise = "" if triton_unavailable() else " and Triton"
    return f"CUDA graph over ATen{pointwise} over all seeds, own backward"


def stepper(ensemble: EnsembleModel, optimizer: AdamW) -> Step:
    """Return the step for the device that the ensemble is on."""

    def step(batch: Batch, coefficients: Tensor) -> Tensor:
        losses = ensemble.train(batch)
        optimizer.step(coefficients)
        return losses

    return CapturedStep(step) if ensemble.parameters.flat_weights.is_cuda else step


class CapturedStep:
    """A step over fixed tensors, into which every batch is copied."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.graph: CudaGraph | None = None

    def __call__(self, batch: Batch, coefficients: Tensor) -> Tensor:
        """Do the step."""
        if self.graph is None:
            self.graph = CudaGraph(coefficients.device)
            self.batch = Batch(*(tensor.clone() for tensor in _tensors(batch)))
            self.coefficients = coefficients.clone()
        for fixed, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            fixed.copy_(given)
        self.coefficients.copy_(coefficients)
        return self.graph.call(lambda: self.step(self.batch, self.coefficients))


def _tensors(batch: Batch) -> list[Tensor]:
    return [getattr(batch, field.name) for field in fields(batch)]
