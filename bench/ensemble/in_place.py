"""The pointwise functions of an ensemble as operations in place, which run on any device.

``bench.ensemble.kernels`` has the same functions for a GPU. The ``parts`` of a step of ``GRULayer``
are views of its gates: n, r, z and W_hn h + b_hn, each (S, bs, hidden), then r with z, (S, bs,
2 * hidden). Those of the gradient, ``d_parts``, have the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hnrnn.optimizer import BETAS, EPS

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


@dataclass(frozen=True)
class Pointwise:
    """The functions of this module, or those of ``bench.ensemble.kernels``."""

    gru_forward: Callable[[Sequence[Tensor], Tensor, Tensor], None]
    gru_backward: Callable[
        [Sequence[Tensor], Tensor, Tensor, Tensor | None, Sequence[Tensor], Tensor], None
    ]
    adamw: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], None]


def gru_forward(parts: Sequence[Tensor], previous: Tensor, state: Tensor) -> None:
    """Replace the gates' sums by the gates, and set ``state``, (S, bs, hidden), to the next state.

    The sum of n must be doubled, because tanh is computed as 2 sigmoid(2x) - 1.
    """
    n, r, z, hidden_n, rz = parts[:5]
    rz.sigmoid_()
    n.addcmul_(r, hidden_n, value=2).sigmoid_()
    torch.add(n.new_full((), -1), n, alpha=2, out=n)
    torch.lerp(n, previous, z, out=state)


def gru_backward(
    parts: Sequence[Tensor],
    previous: Tensor,
    gradient: Tensor,
    earlier: Tensor | None,
    d_parts: Sequence[Tensor],
    scratch: Tensor,
) -> None:
    """Set ``d_parts`` to the gradients of the gates' sums, from ``gradient``, that of the state.

    If ``earlier``, the gradient of ``previous``, is given, the part through z is added to it.
    ``scratch`` is overwritten. All are (S, bs, hidden).
    """
    n, r, z, hidden_n = parts[:4]
    d_n, d_r, d_z, d_hidden_n = d_parts[:4]
    torch.sub(previous, n, out=scratch).mul_(gradient)
    _sigmoid_backward(scratch, z, grad_input=d_z)
    torch.mul(gradient, z, out=scratch)
    if earlier is not None:
        earlier.add_(scratch)
    torch.sub(gradient, scratch, out=scratch)
    _tanh_backward(scratch, n, grad_input=d_n)
    torch.mul(d_n, r, out=d_hidden_n)
    torch.mul(d_n, hidden_n, out=scratch)
    _sigmoid_backward(scratch, r, grad_input=d_r)


def adamw(
    weights: Tensor,
    gradients: Tensor,
    means: Tensor,
    squares: Tensor,
    factors: Tensor,
    scratch: Tensor,
) -> None:
    """Update weights and both running means with a row of ``optimizer.factors_of_steps``.

    ``scratch`` is overwritten. All but ``factors`` have the same shape.
    """
    decay, added, step_size, root_correction = factors.unbind()
    weights.mul_(decay)
    means.lerp_(gradients, added)
    squares.mul_(BETAS[1]).addcmul_(gradients, gradients, value=1 - BETAS[1])
    denominator = torch.sqrt(squares, out=scratch).div_(root_correction).add_(EPS)
    weights.addcmul_(torch.div(means, denominator, out=scratch), step_size)


IN_PLACE = Pointwise(gru_forward, gru_backward, adamw)
