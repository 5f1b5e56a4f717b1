"""What a backend has to say and do: the same methods, in the same order, in every file."""

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
    graphed = False
    """Whether the whole training step is captured, not the recurrence alone."""

    @abstractmethod
    def unavailable(self, device: str) -> str | None:
        """Return why it cannot run on ``cpu`` or ``cuda``, and what it needs; None if it can."""

    def switched_off(self) -> str | None:
        """Return what keeps it from executing anything in this process, so that a run would fail.

        It is no reason: a machine that can run the backend must not skip it.
        """
        return None

    @abstractmethod
    def kernel(self, variant: Variant, device: str) -> str:
        """Return what executes the recurrence of ``variant`` there."""

    @abstractmethod
    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return a recurrence of ``kind`` tanh or gru, as ``bench.backends.recurrence`` has it.

        ``sizes`` are input, hidden and number of layers.
        """

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        """Return ``Model0`` to ``Model3`` as this backend executes it, with the same parameters."""
        raise NotImplementedError(f"{self.name} does not execute {type(model).__name__}")

    def settings(self) -> AbstractContextManager[object]:
        """Return a context in which the backend is what it says; it restores what it sets."""
        return nullcontext()

    def convert(self, variant: Variant, model: Model) -> nn.Module:
        """Return the model, with its weights as they are, to be executed by this backend.

        On the notebook's own backend that is the model itself.
        """
        if self.name == variant.backend:
            return model
        if isinstance(model, FullyConnected):
            return self.fully_connected(model)
        if not isinstance(model, Recurrent):
            raise TypeError(f"{type(model).__name__} is no model of the notebook")
        layers = sum(name.startswith("weight_ih") for name in model_weights(model))
        sizes = (model.hidden_size, model.hidden_size, layers)
        return ConvertedModel(model, self.recurrence(variant.recurrence, sizes))
