"""An Elman layer of S seeds over tokens: ``h' = f(W_ih x + b + W_hh h)``, f is tanh or ReLU.

Source of the gradients: the equation, differentiated by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.batches import Batch
from bench.ensemble.parameters import Parameters
from bench.ensemble.projection import look_up, project, sum_by_token


class Elman:
    """One layer; ``states``, (S, steps + 1, bs, hidden), starts with the state before step 0.

    tanh is computed as 2 sigmoid(2x) - 1, which has about the rounding error of a sum, and is
    several times faster in torch.
    """

    def __init__(
        self,
        parameters: Parameters,
        names: tuple[str, str, tuple[str, ...]],
        *,
        relu: bool,
        steps: int,
        bs: int,
    ) -> None:
        """Take the ``names`` of both weights, which may be the same one, and of the biases."""
        self.parameters, self.relu = parameters, relu
        self.weight_ih, self.weight_hh, self.biases = names
        embedding = parameters.weights["i_h.weight"]
        seeds, _, hidden = embedding.shape
        self.table, self.minus_one = torch.empty_like(embedding), embedding.new_full((), -1)
        self.states = embedding.new_zeros(seeds, steps + 1, bs, hidden)
        self.d_sums = embedding.new_empty(seeds, steps, bs, hidden)
        self.outputs = self.states[:, 1:].flatten(1, 2)
        self.state_steps = self.states.unbind(1)
        self.d_sum_steps = self.d_sums.unbind(1)

    def forward(self, batch: Batch) -> Tensor:
        """Return all states, (S, steps * bs, hidden)."""
        weights = self.parameters.weights
        factor = 1 if self.relu else 2
        bias = torch.stack([weights[name] for name in self.biases]).sum(0)
        project(weights["i_h.weight"], weights[self.weight_ih] * factor, bias * factor, self.table)
        look_up(self.table, batch, self.d_sums.flatten(1, 2))
        onward = (weights[self.weight_hh] * factor).mT
        h = self.state_steps[0]
        for state, projected in zip(self.state_steps[1:], self.d_sum_steps, strict=True):
            torch.baddbmm(projected, h, onward, out=state)
            if self.relu:
                state.relu_()
            else:
                torch.add(self.minus_one, state.sigmoid_(), alpha=2, out=state)
            h = state
        return self.outputs

    def backward(self, gradient: Tensor, batch: Batch) -> None:
        """Add the parameters' gradients, from that of all states; the latter is overwritten."""
        weights, gradients = self.parameters.weights, self.parameters.gradients
        weight_hh = weights[self.weight_hh]
        d_steps = gradient.view(self.d_sums.shape).unbind(1)
        for step in range(len(d_steps) - 1, -1, -1):
            d_sum, state = self.d_sum_steps[step], self.state_steps[step + 1]
            if self.relu:
                torch.ops.aten.threshold_backward.grad_input(
                    d_steps[step], state, 0, grad_input=d_sum
                )
            else:
                torch.ops.aten.tanh_backward.grad_input(d_steps[step], state, grad_input=d_sum)
            if step:
                d_steps[step - 1].baddbmm_(d_sum, weight_hh)
        d_sums = self.d_sums.flatten(1, 2)
        gradients[self.weight_hh].baddbmm_(d_sums.mT, self.states[:, :-1].flatten(1, 2))
        by_token = sum_by_token(d_sums, batch)
        gradients[self.weight_ih].baddbmm_(by_token.mT, weights["i_h.weight"])
        gradients["i_h.weight"].baddbmm_(by_token, weights[self.weight_ih])
        d_bias = by_token.sum(1)
        for name in self.biases:
            gradients[name].add_(d_bias)
