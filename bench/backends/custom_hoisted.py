"""``custom_hoisted``: hand-written layers that hoist as much as possible out of the loop."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.backends.hoisted_layers import elman_layer, gru_layer
from bench.backends.implementation import Implementation
from bench.backends.recurrence import NAMES_IN_CELL
from hnrnn.models import FullyConnected, Model0, Model1, check_rows
from hnrnn.variants import Recurrence


class HoistedRecurrence(nn.Module):
    """Layers of ``GRULayer`` or ``ElmanLayer``, with the parameter names of ``nn.GRU``."""

    def __init__(self, kind: Recurrence, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        self.kind = kind
        input_size, hidden_size, self.num_layers = sizes
        rows = {"tanh": 1, "gru": 3}[kind] * hidden_size
        for layer in range(self.num_layers):
            columns = hidden_size if layer else input_size
            shapes = ((rows, columns), (rows, hidden_size), (rows,), (rows,))
            for name, shape in zip(NAMES_IN_CELL, shapes, strict=True):
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(torch.zeros(shape)))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return all outputs and the final h, as ``bench.backends.recurrence`` describes."""
        final = []
        for layer, h_layer in enumerate(h.unbind(0)):
            weights = [self.get_parameter(f"{name}_l{layer}") for name in NAMES_IN_CELL]
            if self.kind == "gru":
                x = gru_layer(x, h_layer, *weights)
            else:
                x = elman_layer(x, h_layer, *weights, False)  # noqa: FBT003
            final.append(x[:, -1])
        return x, torch.stack(final)


class HoistedFullyConnected(nn.Module):
    """``Model0`` to ``Model3`` with ``h_h`` applied to the inputs of all steps at once.

    ``h_h(h + x)`` is ``W h + (W x + b)``. ``Model0`` and ``Model1`` normalise inside the
    recurrence, so autograd does their backward.
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
        """Return the scores that the model would return."""
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
    """Return ``states``, (batch, time, hidden), normalised as by one call of ``bn`` per step.

    In training every step has its own statistics, because each feature of each step is a channel of
    one call. The running statistics are updated once per step, in the order of the steps.
    """
    batch, time, hidden = states.shape
    if not bn.training:
        normalised: Tensor = bn(states.flatten(0, 1))
        return normalised.view(states.shape)
    assert bn.momentum is not None  # noqa: S101  # the layer of the models has one
    means, variances = states.new_zeros(2, time * hidden)
    normalised = F.batch_norm(
        states.reshape(batch, time * hidden),
        means,
        variances,
        bn.weight.repeat(time),
        bn.bias.repeat(time),
        training=True,
        momentum=1.0,  # means and variances become those of the batch
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
    """Hand-written layers with the input projection outside the loop, and their own backward."""

    name = "custom_hoisted"
    kernel_name = "Python loop over ATen, own backward"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        return HoistedRecurrence(kind, sizes)

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        return HoistedFullyConnected(model)
