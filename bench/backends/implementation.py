"""The interface of a backend: the same methods, in the same order, in every file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext

from torch import nn

from bench.backends.recurrence import ConvertedModel, model_weights
from hnrnn.models import FullyConnected, Model, Recurrent
from hnrnn.variants import Recurrence, Variant


class Implementation(ABC):
    """How one backend executes a recurrence."""

    name: str
    kernel_name: str
    """What executes the recurrence, for a backend on which that is always the same."""
    graphed = False
    """Whether the whole training step is captured, not the recurrence alone."""
    why_not_on_cpu: str | None = None
    """Why the backend needs a GPU; None if it does not."""

    def why_unavailable(self, device: str) -> str | None:
        """Return why the backend cannot run on ``cpu`` or ``cuda``, or None if it can."""
        return self.why_not_on_cpu if device == "cpu" else None

    def why_switched_off(self) -> str | None:
        """Return the setting that makes a run fail in this process, or None.

        Runs of a backend that is switched off fail; those of an unavailable one are skipped.
        """
        return None

    def kernel(self, variant: Variant, device: str) -> str:
        """Return the name of what executes the recurrence of ``variant`` on ``device``."""
        del variant, device
        return self.kernel_name

    @abstractmethod
    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return a ``tanh`` or ``gru`` recurrence, as ``bench.backends.recurrence`` describes it.

        ``sizes`` are the input size, the hidden size and the number of layers.
        """

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        """Return ``Model0`` to ``Model3`` as this backend executes it, with the same parameters."""
        raise NotImplementedError(f"{self.name} does not execute {type(model).__name__}")

    def settings(self) -> AbstractContextManager[object]:
        """Return the context in which the backend runs; it restores the settings it changes."""
        return nullcontext()

    def convert(self, variant: Variant, model: Model) -> nn.Module:
        """Return the model as this backend executes it: itself on the notebook's backend."""
        if self.name == variant.backend:
            return model
        if isinstance(model, FullyConnected):
            return self.fully_connected(model)
        if not isinstance(model, Recurrent):
            raise TypeError(f"{type(model).__name__} is not a model of the notebook")
        layers = sum(name.startswith("weight_ih") for name in model_weights(model))
        sizes = (model.hidden_size, model.hidden_size, layers)
        return ConvertedModel(model, self.recurrence(variant.recurrence, sizes))
