"""``custom``: a Python loop over the hand-written cells, as in the notebook's ``Model7``."""

from __future__ import annotations

from torch import nn

from bench.backends.cell import Cell
from bench.backends.recurrence import LoopRecurrence, layers_of
from hnrnn.cells import GRUCell, RNNCell
from hnrnn.models import FullyConnected
from hnrnn.variants import Recurrence


class Custom(Cell):
    """A loop over the cells of ``hnrnn.cells``."""

    name = "custom"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        return LoopRecurrence(layers_of({"tanh": RNNCell, "gru": GRUCell}[kind], sizes))

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        return model
