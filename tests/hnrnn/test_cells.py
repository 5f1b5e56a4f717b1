"""Hand-written cells against PyTorch's."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hnrnn.cells import GRUCell


@settings(deadline=None, max_examples=25)
@given(
    batch=st.integers(1, 5),
    input_size=st.integers(1, 6),
    hidden_size=st.integers(1, 7),
    seed=st.integers(0, 2**31),
)
def test_gru_cell_equals_torch(batch: int, input_size: int, hidden_size: int, seed: int) -> None:
    """Output and all gradients equal nn.GRUCell's in float64, at batch 1 too."""
    torch.manual_seed(seed)
    theirs = nn.GRUCell(input_size, hidden_size).double()
    ours = GRUCell(input_size, hidden_size).double()
    pairs = {
        "i2h.weight": theirs.weight_ih,
        "i2h.bias": theirs.bias_ih,
        "h2h.weight": theirs.weight_hh,
        "h2h.bias": theirs.bias_hh,
    }
    ours.load_state_dict({name: parameter.detach() for name, parameter in pairs.items()})
    x = torch.randn(batch, input_size, dtype=torch.float64)
    h = torch.randn(batch, hidden_size, dtype=torch.float64)
    weights = torch.randn(batch, hidden_size, dtype=torch.float64)
    inputs = [tensor.clone().requires_grad_() for tensor in (x, h, x, h)]
    expected, got = theirs(*inputs[:2]), ours(*inputs[2:])
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-13)
    (expected * weights).sum().backward()
    (got * weights).sum().backward()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, pairs[name].grad, rtol=0, atol=1e-12)
    for mine, reference in zip(inputs[2:], inputs[:2], strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=0, atol=1e-12)
