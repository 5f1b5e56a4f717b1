"""The weights of S seeds in one flat buffer, copied from models and back into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.backends.recurrence import model_weights
from hnrnn.models import FullyConnected, Model


def trained_parameters(model: Model) -> dict[str, nn.Parameter]:
    """Return the parameters that have a gradient, by name; unused modules have none.

    Those of a recurrent module or cell have canonical names, ``weight_ih_l0`` and so on.
    """
    own = dict(model.named_parameters())
    prefixes = ("i_h.", "h_h.", "h_o.", "bn.")
    shared = {name: own[name] for name in own if name.startswith(prefixes)}
    return shared if isinstance(model, FullyConnected) else shared | model_weights(model)


class Parameters:
    """The weights, gradients and running BatchNorm statistics of S models.

    ``weights`` and ``gradients`` are views by name, (S, *shape), into ``flat_weights`` and
    ``flat_gradients``, (S, P). ``running_mean`` and ``running_variance`` are (S, hidden).
    """

    def __init__(self, models: Sequence[Model], device: str | torch.device = "cpu") -> None:
        """Copy the models, which have the same shapes and dtype and are on the CPU, to ``device``.

        All tensors of one kind are copied at once, because copying one of them to a GPU takes as
        long as copying tens of thousands.
        """
        self.models = models
        self._of_models = [trained_parameters(model) for model in models]
        rows = [torch.cat([p.detach().flatten() for p in own.values()]) for own in self._of_models]
        self.flat_weights = torch.stack(rows).to(device)
        self.flat_gradients = torch.zeros_like(self.flat_weights)
        self.weights = self._views(self.flat_weights)
        self.gradients = self._views(self.flat_gradients)
        self._layers: list[Any] = [model.bn for model in models]
        self.running_mean, self.running_variance = (
            torch.stack([getattr(layer, name) for layer in self._layers]).to(device)
            for name in ("running_mean", "running_var")
        )

    def _views(self, flat: Tensor) -> Mapping[str, Tensor]:
        views, start = {}, 0
        for name, parameter in self._of_models[0].items():
            stop = start + parameter.numel()
            views[name] = flat[:, start:stop].view(-1, *parameter.shape)
            start = stop
        return views

    @torch.no_grad()
    def store(self, normalisations: int) -> None:
        """Copy all back into the models; BatchNorm has been called ``normalisations`` times."""
        weights = self._views(self.flat_weights.cpu())
        means, variances = self.running_mean.cpu(), self.running_variance.cpu()
        for seed, (layer, own) in enumerate(zip(self._layers, self._of_models, strict=True)):
            for name, parameter in own.items():
                parameter.copy_(weights[name][seed])
            layer.running_mean.copy_(means[seed])
            layer.running_var.copy_(variances[seed])
            layer.num_batches_tracked.add_(normalisations)
