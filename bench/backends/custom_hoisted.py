"""``custom_hoisted``: hand-written, with everything that need not wait taken out of the loop.

Forward, the input projection of all time steps is one product. Backward, the loop carries the
hidden state's gradient alone, three operations a step: what multiplies it was computed for all
steps at once before, and the weights' gradients are gathered in one product after.

Inside, tensors are feature-major, (features, time, batch): a gate is then a block of rows, a
step's slice feeds a matrix product as it lies, and no step copies or chunks anything.

Source of the gradients: the cells' equations in ``hnrnn.cells``, differentiated by hand and held
against automatic differentiation by the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from bench.backends.implementation import Implementation
from hnrnn.models import FullyConnected, Model0, Model1, check_rows
from hnrnn.variants import Recurrence, Variant


class ElmanLayer(Function):
    """One layer of ``h' = f(W_ih x + b_ih + W_hh h + b_hh)``, f being tanh or ReLU.

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
        """Project all steps at once; each step then adds its part in place."""
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
        """Return the gradients of ``apply``'s arguments, from that of its result."""
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
    """One layer of a gated recurrent unit, as ``hnrnn.cells.GRUCell`` has it.

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
        """Project all steps at once; each step then computes in place.

        ``gates`` holds r, z and the hidden part of n, W_hn h + b_hn, one below the other.
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
        """Return the gradients of ``apply``'s arguments, from that of its result.

        Every gate's gradient is the state's times a factor that does not depend on it.
        """
        inputs, h, states, gates, n, weight_ih, weight_hh = ctx.saved_tensors
        hidden, time, batch = n.shape
        r, z, hn = gates.chunk(3)
        previous = _shifted(states, h)
        one_minus_z = 1 - z
        n_factor = torch.addcmul(one_minus_z, one_minus_z * n, n, value=-1)
        d_gates = torch.empty_like(gates)  # first the factors of r, z and hn
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
    """Return the state before each step, (hidden, time, batch); ``h`` is before the first."""
    return torch.cat([h.t()[:, None], states[:, :-1]], dim=1)


def _d_inputs(
    ctx: Any, parts: list[tuple[Tensor, Tensor]], shape: tuple[int, ...]
) -> Tensor | None:
    """Return x's gradient, (batch, time, input), from gates' gradients and the gates' weights."""
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


class HoistedRecurrence(nn.Module):
    """Layers of ``GRULayer`` or ``ElmanLayer``; the parameters are named as ``nn.GRU``'s."""

    def __init__(self, kind: Recurrence, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        self.kind = kind
        input_size, hidden_size, self.num_layers = sizes
        rows = {"tanh": 1, "gru": 3}[kind] * hidden_size
        for layer in range(self.num_layers):
            columns = hidden_size if layer else input_size
            for name, shape in (
                ("weight_ih", (rows, columns)),
                ("weight_hh", (rows, hidden_size)),
                ("bias_ih", (rows,)),
                ("bias_hh", (rows,)),
            ):
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(torch.zeros(shape)))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """See ``bench.backends.recurrence``."""
        final = []
        for layer, h_layer in enumerate(h.unbind(0)):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            weights = [self.get_parameter(f"{name}_l{layer}") for name in names]
            if self.kind == "gru":
                x = gru_layer(x, h_layer, *weights)
            else:
                x = elman_layer(x, h_layer, *weights, False)  # noqa: FBT003
            final.append(x[:, -1])
        return x, torch.stack(final)


class HoistedFullyConnected(nn.Module):
    """``Model0`` to ``Model3`` with ``h_h`` applied to the inputs of all steps at once.

    ``h_h(h + x)`` is ``W h + (W x + b)``. ``Model0`` and ``Model1`` normalise inside the
    recurrence, which leaves its backward to autograd.
    """

    h: Tensor

    def __init__(self, model: FullyConnected) -> None:
        super().__init__()
        self.i_h, self.h_h, self.h_o, self.bn = model.i_h, model.h_h, model.h_o, model.bn
        self.normalises_inside = isinstance(model, (Model0, Model1))
        self.first_step_bypasses = isinstance(model, Model0)
        self.keeps_state = hasattr(model, "h")
        if self.keeps_state:
            self.register_buffer("h", model.h.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the model returns."""
        if self.normalises_inside:
            return self._score_last(x)
        if self.keeps_state:
            check_rows(x, self.h)
            h = self.h
        else:
            h = self._zero_state(x)
        weight, bias = self.h_h.weight, self.h_h.bias
        states = elman_layer(
            self.i_h(x),
            h,
            weight,
            weight,
            bias,
            torch.zeros_like(bias),
            True,  # noqa: FBT003
        )
        if self.keeps_state:
            self.h = states[:, -1].detach()
        scores: Tensor = self.h_o(normalise_steps(self.bn, states))
        return scores

    def _score_last(self, x: Tensor) -> Tensor:
        embedded = self.i_h(x[:, :3] if self.first_step_bypasses else x)
        back = self.h_h.weight.t()
        projected = F.linear(embedded, self.h_h.weight, self.h_h.bias).unbind(1)
        if self.first_step_bypasses:
            h = self.bn(F.relu(embedded[:, 0]))
            projected = projected[1:]
        else:
            h = self._zero_state(x)
        for part in projected:
            h = self.bn(F.relu(torch.addmm(part, h, back)))
        scores: Tensor = self.h_o(h)
        return scores

    def _zero_state(self, x: Tensor) -> Tensor:
        return self.h_h.weight.new_zeros(x.shape[0], self.h_h.in_features)


def normalise_steps(bn: nn.BatchNorm1d, states: Tensor) -> Tensor:
    """Return ``bn`` of every step's states, (batch, time, hidden), as called step by step.

    In training every step has statistics of its own: each feature of each step is a channel of one
    call. The running statistics then move by ``momentum`` once a step, the last step the latest.
    """
    batch, time, hidden = states.shape
    if not bn.training:
        normalised: Tensor = bn(states.flatten(0, 1))
        return normalised.view(states.shape)
    assert bn.momentum is not None  # noqa: S101  # the models' own layer has one
    means, variances = states.new_zeros(2, time * hidden)
    normalised = F.batch_norm(
        states.reshape(batch, time * hidden),
        means,
        variances,
        bn.weight.repeat(time),
        bn.bias.repeat(time),
        training=True,
        momentum=1.0,  # they become the batch's
        eps=bn.eps,
    )
    later_steps = torch.arange(time - 1, -1, -1, dtype=states.dtype, device=states.device)
    shares = bn.momentum * (1 - bn.momentum) ** later_steps
    for running, found in ((bn.running_mean, means), (bn.running_var, variances)):
        assert running is not None  # noqa: S101  # as above
        running.mul_((1 - bn.momentum) ** time).add_(shares @ found.view(time, hidden))
    assert bn.num_batches_tracked is not None  # noqa: S101  # as above
    bn.num_batches_tracked += time
    return normalised.view(states.shape)


class CustomHoisted(Implementation):
    """See the module's first line."""

    name = "custom_hoisted"

    def unavailable(self, device: str) -> str | None:
        """Runs everywhere."""
        del device
        return None

    def kernel(self, variant: Variant, device: str) -> str:
        """The loop is Python's, each step ATen's."""
        del variant, device
        return "Python loop over ATen, own backward"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return layers with their own backward."""
        return HoistedRecurrence(kind, sizes)

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        """Return the model with its input projection hoisted."""
        return HoistedFullyConnected(model)
