"""Batch normalisation and the linear map after it in one: ``W (gain * x_hat + shift) + b``.

Rows form groups that each have their own statistics: one group per seed, or one per seed and step.
In the backward, batch normalisation needs sums over rows. They follow from the gradient of the map,
``a`` below. Source: Ioffe and Szegedy 2015, differentiated by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.parameters import Parameters

EPS = 1e-5
MOMENTUM = 0.1


class NormalisedMap:
    """The map with the parameters of ``bn`` and ``weight``, and with ``bias`` unless it is None."""

    def __init__(
        self, parameters: Parameters, weight: str, bias: str | None, groups: int, rows: int
    ) -> None:
        """Take ``groups`` groups of ``rows`` rows for every seed."""
        self.parameters, self.weight, self.bias = parameters, weight, bias
        self.groups, self.rows = groups, rows
        like = parameters.weights[weight]
        self.seeds, self.outputs, self.features = like.shape
        self.x_hat = like.new_empty(self.seeds * groups, rows, self.features)
        self.squares = torch.empty_like(self.x_hat)

    def forward(self, x: Tensor, out: Tensor) -> None:
        """Set ``out``, (S, groups * rows, outputs), from ``x``, (S, groups * rows, features).

        The running statistics are updated once per group, in the order of the groups.
        """
        weights = self.parameters.weights
        grouped = x.view(self.seeds, self.groups, self.rows, self.features)
        x_hat = self.x_hat.view(grouped.shape)
        mean = grouped.mean(2, keepdim=True)
        torch.sub(grouped, mean, out=x_hat)
        variance = torch.mul(self.x_hat, self.x_hat, out=self.squares).mean(1)
        self.reciprocal = (variance + EPS).rsqrt_()
        self.x_hat.mul_(self.reciprocal[:, None])
        self._track(mean[:, :, 0], variance.view(self.seeds, self.groups, -1))
        self.scaled = weights[self.weight] * weights["bn.weight"][:, None]
        self._map(x_hat.view(self.seeds, -1, self.features), self.scaled, out)

    def _map(self, x: Tensor, scaled: Tensor, out: Tensor) -> None:
        weights = self.parameters.weights
        constant = torch.bmm(weights[self.weight], weights["bn.bias"][:, :, None])[..., 0]
        if self.bias is not None:
            constant += weights[self.bias]
        torch.baddbmm(constant[:, None], x, scaled.mT, out=out)

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Update the running statistics; mean and variance are (S, groups, features)."""
        later = torch.arange(self.groups - 1, -1, -1, dtype=mean.dtype, device=mean.device)
        shares = (MOMENTUM * (1 - MOMENTUM) ** later)[:, None]
        unbiased = self.rows / (self.rows - 1)
        kept = (1 - MOMENTUM) ** self.groups
        parameters = self.parameters
        parameters.running_mean.mul_(kept).add_((shares * mean).sum(1))
        parameters.running_variance.mul_(kept).add_((shares * variance).sum(1), alpha=unbiased)

    def backward(self, gradient: Tensor, out: Tensor) -> None:
        """Add the parameters' gradients; set ``out`` to that of ``x``, given that of the result."""
        weights, gradients = self.parameters.weights, self.parameters.gradients
        weight, gain, shift = weights[self.weight], weights["bn.weight"], weights["bn.bias"]
        per_group = gradient.view(-1, self.rows, self.outputs)
        a = torch.bmm(per_group.mT, self.x_hat)  # (groups, outputs, features)
        c = per_group.sum(1)

        a_seed = a.view(self.seeds, self.groups, *a.shape[1:]).sum(1)
        c_seed = c.view(self.seeds, self.groups, -1).sum(1)
        gradients[self.weight].addcmul_(a_seed, gain[:, None])
        gradients[self.weight].addcmul_(c_seed[:, :, None], shift[:, None])
        gradients["bn.weight"].add_((a_seed * weight).sum(1))
        gradients["bn.bias"].add_(torch.bmm(c_seed[:, None], weight)[:, 0])
        if self.bias is not None:
            gradients[self.bias].add_(c_seed)

        back = self.scaled.repeat_interleave(self.groups, 0) * self.reciprocal[:, None]
        constant = torch.bmm(c[:, None], back).div_(-self.rows)
        slope = torch.mul(a, back).sum(1, keepdim=True).div_(-self.rows)
        result = out.view(self.x_hat.shape)
        torch.baddbmm(constant, per_group, back, out=result)
        result.addcmul_(self.x_hat, slope)

    def apply(self, x: Tensor, out: Tensor) -> None:
        """Set ``out`` as ``forward`` does, but with the running statistics, for validation."""
        weights, parameters = self.parameters.weights, self.parameters
        reciprocal = (parameters.running_variance + EPS).rsqrt_()
        scaled = weights[self.weight] * (weights["bn.weight"] * reciprocal)[:, None]
        self._map(x - parameters.running_mean[:, None], scaled, out)
