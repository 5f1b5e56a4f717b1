"""A layer of gated recurrent units of S seeds, with the equations of ``hnrnn.cells.GRUCell``.

The columns of the gates are n, r, z and W_hn h + b_hn. The input is projected to the first three,
the hidden state to the last three. Source of the gradients: the equations, differentiated by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.backends.recurrence import NAMES_IN_CELL
from bench.ensemble.batches import Batch
from bench.ensemble.dispatch import pointwise_for
from bench.ensemble.parameters import Parameters
from bench.ensemble.projection import look_up, project, sum_by_token


class GRULayer:
    """One layer; ``states``, (S, steps + 1, bs, hidden), starts with the state before step 0."""

    def __init__(
        self, parameters: Parameters, *, layer: int, steps: int, bs: int, below: GRULayer | None
    ) -> None:
        """Take the parameters of ``layer``; its inputs are the states of ``below``, or tokens."""
        self.parameters, self.below = parameters, below
        self.names = tuple(f"{name}_l{layer}" for name in NAMES_IN_CELL)
        embedding = parameters.weights["i_h.weight"]
        seeds, vocab_size, hidden = embedding.shape
        self.hidden, self.pointwise = hidden, pointwise_for(embedding)
        self.states = embedding.new_zeros(seeds, steps + 1, bs, hidden)
        self.gates = embedding.new_empty(seeds, steps, bs, 4 * hidden)
        self.d_gates = torch.empty_like(self.gates)
        self.scratch = embedding.new_empty(seeds, bs, hidden)
        self.outputs = self.states[:, 1:].flatten(1, 2)
        if below is None:
            self.table = embedding.new_empty(seeds, vocab_size, 4 * hidden)
        else:
            self.d_input = torch.empty_like(below.outputs, memory_format=torch.contiguous_format)
        self.state_steps = self.states.unbind(1)
        self.gate_steps = [self._parts(step) for step in self.gates.unbind(1)]
        self.d_gate_steps = [self._parts(step) for step in self.d_gates.unbind(1)]

    def _parts(self, step: Tensor) -> tuple[Tensor, ...]:
        """Return views of a step: its four parts, r with z, and the last three parts together."""
        h = self.hidden
        return (*step.chunk(4, dim=2), step[..., h : 3 * h], step[..., h:])

    def forward(self, batch: Batch) -> Tensor:
        """Return all states, (S, steps * bs, hidden)."""
        h = self.hidden
        weight_ih, weight_hh, bias_ih, bias_hh = (self.parameters.weights[n] for n in self.names)
        # The part of n is doubled, as gru_forward expects.
        weight = torch.cat([2 * weight_ih[:, 2 * h :], weight_ih[:, : 2 * h]], dim=1)
        rz_bias = bias_ih[:, : 2 * h] + bias_hh[:, : 2 * h]
        bias = torch.cat([2 * bias_ih[:, 2 * h :], rz_bias, bias_hh[:, 2 * h :]], dim=1)
        gates = self.gates.flatten(1, 2)
        if self.below is None:
            project(self.parameters.weights["i_h.weight"], weight, bias, self.table)
            look_up(self.table, batch, gates)
        else:
            project(self.below.outputs, weight, bias, gates)
        onward, previous = weight_hh.mT, self.state_steps[0]
        for parts, state in zip(self.gate_steps, self.state_steps[1:], strict=True):
            *_, from_hidden = parts
            from_hidden.baddbmm_(previous, onward)
            self.pointwise.gru_forward(parts, previous, state)
            previous = state
        return self.outputs

    def backward(self, gradient: Tensor, batch: Batch) -> None:
        """Add the parameters' gradients, from that of all states; the latter is overwritten."""
        weight_hh = self.parameters.weights[self.names[1]]
        d_steps = gradient.view((*self.gates.shape[:3], self.hidden)).unbind(1)
        for step in range(len(d_steps) - 1, -1, -1):
            earlier = d_steps[step - 1] if step else None
            parts, previous = self.gate_steps[step], self.state_steps[step]
            *_, d_from_hidden = d_parts = self.d_gate_steps[step]
            self.pointwise.gru_backward(
                parts, previous, d_steps[step], earlier, d_parts, self.scratch
            )
            if earlier is not None:
                earlier.baddbmm_(d_from_hidden, weight_hh)
        self._add_gradients(batch)

    def _add_gradients(self, batch: Batch) -> None:
        h, gradients = self.hidden, self.parameters.gradients
        weight_ih = self.parameters.weights[self.names[0]]
        g_weight_ih, g_weight_hh, g_bias_ih, g_bias_hh = (gradients[name] for name in self.names)
        d_gates = self.d_gates.flatten(1, 2)
        g_weight_hh.baddbmm_(d_gates[..., h:].mT, self.states[:, :-1].flatten(1, 2))
        if self.below is None:
            d_rows, source = sum_by_token(d_gates, batch), self.parameters.weights["i_h.weight"]
        else:
            d_rows, source = d_gates, self.below.outputs
        parts = ((d_rows[..., h : 3 * h], slice(0, 2 * h)), (d_rows[..., :h], slice(2 * h, 3 * h)))
        for part, place in parts:
            g_weight_ih[:, place].baddbmm_(part.mT, source)
        d_bias = d_rows.sum(1)
        g_bias_hh.add_(d_bias[:, h:])
        g_bias_ih[:, : 2 * h].add_(d_bias[:, h : 3 * h])
        g_bias_ih[:, 2 * h :].add_(d_bias[:, :h])
        rolled = torch.cat([weight_ih[:, 2 * h :], weight_ih[:, : 2 * h]], dim=1)
        if self.below is None:
            gradients["i_h.weight"].baddbmm_(d_rows[..., : 3 * h], rolled)
        else:
            torch.bmm(d_rows[..., : 3 * h], rolled, out=self.d_input)
            self.below.backward(self.d_input, batch)
