"""``cell``: a Python loop over PyTorch's cells, as in the notebook's ``Model6``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from bench.backends.implementation import Implementation
from bench.backends.recurrence import LoopRecurrence
from hnrnn.variants import Recurrence


class Cell(Implementation):
    """A loop over ``nn.RNNCell`` or ``nn.GRUCell``."""

    name = "cell"
    kernel_name = "Python loop over ATen"
    cells: Mapping[str, type[nn.Module]] = MappingProxyType({"tanh": nn.RNNCell, "gru": nn.GRUCell})

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        return LoopRecurrence(self.cells[kind], sizes)
