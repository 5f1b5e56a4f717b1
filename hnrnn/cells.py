"""Recurrent cells written by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RNNCell(nn.Module):
    """One step of an Elman network as two linear maps, equal to ``torch.nn.RNNCell`` with tanh.

    ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``; ``i2h`` maps the input, ``h2h`` the hidden state.
    Source: PyTorch's documentation of ``torch.nn.RNN``.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the next h, (batch, hidden_size), from x, (batch, input_size), and the last h."""
        return torch.tanh(self.i2h(x) + self.h2h(h))


class GRUCell(nn.Module):
    """One step of a gated recurrent unit as two linear maps, equal to ``torch.nn.GRUCell``.

    With the gates in PyTorch's order r, z, n and both biases::

        r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
        z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    ``i2h`` maps the input, ``h2h`` the hidden state; both stack the rows of the three gates.
    Source: PyTorch's documentation of ``torch.nn.GRU``.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.i2h = nn.Linear(input_size, 3 * hidden_size)
        self.h2h = nn.Linear(hidden_size, 3 * hidden_size)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the next h, (batch, hidden_size), from x, (batch, input_size), and the last h."""
        x_r, x_z, x_n = self.i2h(x).chunk(3, dim=1)
        h_r, h_z, h_n = self.h2h(h).chunk(3, dim=1)
        r = torch.sigmoid(x_r + h_r)
        z = torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * h_n)
        return z * h + (1 - z) * n
