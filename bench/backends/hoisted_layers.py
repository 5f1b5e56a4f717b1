"""Recurrent layers with a hand-written backward, as autograd functions.

The input projection of all time steps is one product. In the backward, the loop computes only the
gradient of the hidden state: its factors are computed for all steps before, and the gradients of
the weights are one product after. Tensors are feature-major, (features, time, batch), so that no
step has to copy anything.

Source of the gradients: the equations of ``hnrnn.cells``, differentiated by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class ElmanLayer(Function):
    """A layer of ``h' = f(W_ih x + b_ih + W_hh h + b_hh)`` where f is tanh or ReLU.

    ``apply(x, h, weight_ih, weight_hh, bias_ih, bias_hh, relu)`` with x (batch, time, input) and
    h (batch, hidden) returns all hidden states, (batch, time, hidden).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        relu: bool,  # noqa: FBT001  # autograd functions take no keywords
    ) -> Tensor:
        """Project the inputs of all steps at once, then run the steps in place."""
        batch, time, _ = x.shape
        inputs = x.transpose(0, 1).flatten(0, 1)
        states = torch.addmm((bias_ih + bias_hh)[:, None], weight_ih, inputs.t())
        states = states.view(-1, time, batch)
        h_step = h.t()
        for state in states.unbind(1):
            state.addmm_(weight_hh, h_step)
            h_step = state.relu_() if relu else state.tanh_()
        ctx.save_for_backward(inputs, h, states, weight_ih, weight_hh)
        ctx.relu = relu
        return states.permute(2, 1, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of ``apply`` from that of its result."""
        inputs, h, states, weight_ih, weight_hh = ctx.saved_tensors
        slope = (states > 0).to(states.dtype) if ctx.relu else 1 - states * states
        d_states = gradient.permute(2, 1, 0).contiguous()
        d_sums = torch.empty_like(states)
        back = weight_hh.t()
        d_steps, d_sum_steps = d_states.unbind(1), d_sums.unbind(1)
        slopes = slope.unbind(1)
        for step in range(len(d_steps) - 1, 0, -1):
            d_sum = torch.mul(d_steps[step], slopes[step], out=d_sum_steps[step])
            d_steps[step - 1].addmm_(back, d_sum)
        d_h = back @ torch.mul(d_steps[0], slopes[0], out=d_sum_steps[0])
        flat = d_sums.flatten(1)
        previous = _shifted(states, h).flatten(1)
        d_bias = flat.sum(1)
        return (
            _d_inputs(ctx, [(flat, weight_ih)], gradient.shape[:2]),
            d_h.t(),
            flat @ inputs,
            flat @ previous.t(),
            d_bias,
            d_bias,
            None,
        )


class GRULayer(Function):
    """A layer of gated recurrent units, with the equations of ``hnrnn.cells.GRUCell``.

    ``apply(x, h, weight_ih, weight_hh, bias_ih, bias_hh)`` with x (batch, time, input) and h
    (batch, hidden) returns all hidden states, (batch, time, hidden).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> Tensor:
        """Project the inputs of all steps at once, then run the steps in place.

        ``gates`` stacks the rows of r, z and n's hidden part, W_hn h + b_hn.
        """
        batch, time, _ = x.shape
        hidden = h.shape[1]
        inputs = x.transpose(0, 1).flatten(0, 1)
        columns = inputs.t()
        gates = x.new_empty(3 * hidden, time, batch)
        rz_bias = (bias_ih + bias_hh)[: 2 * hidden, None]
        torch.addmm(
            rz_bias, weight_ih[: 2 * hidden], columns, out=gates[: 2 * hidden].view(2 * hidden, -1)
        )
        gates[2 * hidden :] = bias_hh[2 * hidden :, None, None]
        n = torch.addmm(bias_ih[2 * hidden :, None], weight_ih[2 * hidden :], columns)
        n = n.view(hidden, time, batch)
        states = torch.empty_like(n)
        h_step = h.t()
        steps = zip(
            gates.unbind(1),
            gates[: 2 * hidden].unbind(1),
            *(gate.unbind(1) for gate in gates.chunk(3)),
            n.unbind(1),
            states.unbind(1),
            strict=True,
        )
        for all_step, rz_step, r_step, z_step, hn_step, n_step, state in steps:
            all_step.addmm_(weight_hh, h_step)
            rz_step.sigmoid_()
            n_step.addcmul_(r_step, hn_step).tanh_()
            h_step = torch.lerp(n_step, h_step, z_step, out=state)
        ctx.save_for_backward(inputs, h, states, gates, n, weight_ih, weight_hh)
        return states.permute(2, 1, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments of ``apply`` from that of its result.

        The gradient of every gate is that of the state, times a factor that is computed first.
        """
        inputs, h, states, gates, n, weight_ih, weight_hh = ctx.saved_tensors
        hidden, time, batch = n.shape
        r, z, hn = gates.chunk(3)
        previous = _shifted(states, h)
        one_minus_z = 1 - z
        n_factor = torch.addcmul(one_minus_z, one_minus_z * n, n, value=-1)
        d_gates = torch.empty_like(gates)  # at first the factors of r, z and hn
        d_r, d_z, d_hn = d_gates.chunk(3)
        torch.mul(n_factor, r, out=d_hn)
        torch.sub(previous, n, out=d_z).mul_(z).mul_(one_minus_z)
        torch.mul(d_hn, hn, out=d_r).mul_(1 - r)

        d_states = gradient.permute(2, 1, 0).contiguous()
        back = weight_hh.t()
        d_steps, z_steps, d_gate_steps = d_states.unbind(1), z.unbind(1), d_gates.unbind(1)
        factors = d_gates.view(3, hidden, time, batch).unbind(2)
        for step in range(time - 1, 0, -1):
            factors[step].mul_(d_steps[step])
            d_steps[step - 1].addcmul_(z_steps[step], d_steps[step]).addmm_(
                back, d_gate_steps[step]
            )
        factors[0].mul_(d_steps[0])
        d_h = torch.addmm(z_steps[0] * d_steps[0], back, d_gate_steps[0])

        flat = d_gates.flatten(1)
        d_rz, d_n = flat[: 2 * hidden], d_states.mul_(n_factor).flatten(1)
        d_bias_hh = flat.sum(1)
        parts = [(d_rz, weight_ih[: 2 * hidden]), (d_n, weight_ih[2 * hidden :])]
        return (
            _d_inputs(ctx, parts, gradient.shape[:2]),
            d_h.t(),
            torch.cat([d_rz @ inputs, d_n @ inputs]),
            flat @ previous.flatten(1).t(),
            torch.cat([d_bias_hh[: 2 * hidden], d_n.sum(1)]),
            d_bias_hh,
        )


def _shifted(states: Tensor, h: Tensor) -> Tensor:
    """Return the states before each step, (hidden, time, batch); ``h`` is the first of them."""
    return torch.cat([h.t()[:, None], states[:, :-1]], dim=1)


def _d_inputs(
    ctx: Any, parts: list[tuple[Tensor, Tensor]], shape: tuple[int, ...]
) -> Tensor | None:
    """Return the gradient of x, (batch, time, input), from the gates' gradients and weights."""
    if not ctx.needs_input_grad[0]:
        return None
    (first, weight), *others = parts
    result = first.t() @ weight
    for part, its_weight in others:
        result.addmm_(part.t(), its_weight)
    batch, time = shape
    return result.view(time, batch, -1).transpose(0, 1)


# autograd.Function has no types of its own.
elman_layer: Callable[..., Tensor] = ElmanLayer.apply
gru_layer: Callable[..., Tensor] = GRULayer.apply
