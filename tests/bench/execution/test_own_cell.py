"""The parity gate for a cell of one's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import bench
from hnrnn.cells import GRUCell, RNNCell


class ResetBeforeProduct(GRUCell):
    """A GRU cell that resets the state before the product, as in the paper of 2014."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the next h."""
        x_r, x_z, x_n = self.i2h(x).chunk(3, dim=1)
        h_r, h_z, _ = self.h2h(h).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        _, _, h_n = self.h2h(r * h).chunk(3, dim=1)
        return z * h + (1 - z) * torch.tanh(x_n + h_n)


def test_equal_cells() -> None:
    """The hand-written cells, and PyTorch's own, are the same as PyTorch's."""
    for cell, kind in ((GRUCell, "gru"), (nn.GRUCell, "gru"), (RNNCell, "tanh")):
        assert bench.check_cell(cell, kind).passed


def test_a_cell_that_differs() -> None:
    """A subtle difference is refused, and the first thing that differs is named."""
    found = bench.check_cell(ResetBeforeProduct)
    assert not found.passed
    assert found.failures[0].startswith("outputs is ")
    assert "bound 1.0e-12" in found.failures[0]


def test_errors() -> None:
    """What cannot be compared gives one line."""
    with pytest.raises(ValueError, match="unknown kind 'lstm': choose from tanh, gru"):
        bench.check_cell(nn.LSTMCell, "lstm")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the parameters of Linear are weight, bias; a cell has"):
        bench.check_cell(nn.Linear)
    with pytest.raises(ValueError, match="do not fit a recurrence"):
        bench.check_cell(nn.RNNCell)
