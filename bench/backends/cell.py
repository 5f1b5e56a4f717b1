"""``cell``: a Python loop over PyTorch's cells, as the notebook's ``Model6``."""

from __future__ import annotations

from torch import nn

from bench.backends.implementation import Implementation
from bench.backends.recurrence import LoopRecurrence, layers_of
from hnrnn.variants import Recurrence, Variant


class Cell(Implementation):
    """See the module's first line."""

    name = "cell"

    def unavailable(self, device: str) -> str | None:
        """Runs everywhere."""
        del device
        return None

    def kernel(self, variant: Variant, device: str) -> str:
        """The loop is Python's, each step ATen's."""
        del variant, device
        return "Python loop over ATen"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return a loop over ``nn.RNNCell`` or ``nn.GRUCell``."""
        return LoopRecurrence(layers_of({"tanh": nn.RNNCell, "gru": nn.GRUCell}[kind], sizes))
