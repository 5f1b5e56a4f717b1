"""``custom``: a Python loop over the hand-written cells, as in the notebook's ``Model7``."""

from __future__ import annotations

from types import MappingProxyType

from torch import nn

from bench.backends.cell import Cell
from hnrnn.cells import GRUCell, RNNCell
from hnrnn.models import FullyConnected


class Custom(Cell):
    """A loop over the cells of ``hnrnn.cells``, as the fully connected models are already."""

    name = "custom"
    cells = MappingProxyType({"tanh": RNNCell, "gru": GRUCell})

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        return model
