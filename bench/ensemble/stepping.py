"""One training step of an ensemble: as it is, or on a GPU captured once as a graph and replayed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from bench.ensemble.batches import Batch
from bench.ensemble.models import EnsembleModel
from bench.ensemble.optimizer import AdamW

Step = Callable[[Batch, Tensor], Tensor]
"""Takes a batch and AdamW's coefficients, moves the weights, and returns the losses, (S,)."""

WARM_UP_STEPS = 3
"""Steps before the capture, in which libraries allocate what they need."""


def stepper(ensemble: EnsembleModel, optimizer: AdamW) -> Step:
    """Return the step for the device that the ensemble is on."""

    def step(batch: Batch, coefficients: Tensor) -> Tensor:
        losses = ensemble.train(batch)
        optimizer.step(coefficients)
        return losses

    return CapturedStep(step) if ensemble.parameters.flat_weights.is_cuda else step


class CapturedStep:
    """A step over fixed tensors, into which every batch is copied.

    On a CPU there is no graph, and every step is run as it is: so that it can be tested anywhere.
    """

    def __init__(self, step: Step) -> None:
        self.step = step
        self.count = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch, coefficients: Tensor) -> Tensor:
        """Do the step."""
        self.count += 1
        if self.count == 1:
            self.batch = Batch(*(tensor.clone() for tensor in _tensors(batch)))
            self.coefficients = coefficients.clone()
        for fixed, given in zip(_tensors(self.batch), _tensors(batch), strict=True):
            fixed.copy_(given)
        self.coefficients.copy_(coefficients)
        if not coefficients.is_cuda:
            return self.step(self.batch, self.coefficients)
        if self.count <= WARM_UP_STEPS:
            return self._warm_up()
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.losses = self.step(self.batch, self.coefficients)
        self.graph.replay()
        return self.losses.clone()

    def _warm_up(self) -> Tensor:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            losses = self.step(self.batch, self.coefficients)
        torch.cuda.current_stream().wait_stream(stream)
        return losses


def _tensors(batch: Batch) -> list[Tensor]:
    return [getattr(batch, field.name) for field in fields(batch)]
