"""The eight models for S seeds at once: losses and gradients of a batch.

They compute the same as ``hnrnn.models``, with derivatives written by hand. Buffers are allocated
once, and all batches of a training have the same shape.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.batches import Batch, Layout
from bench.ensemble.cross_entropy import losses_and_correct, losses_and_gradient
from bench.ensemble.elman import Elman
from bench.ensemble.gru import GRULayer
from bench.ensemble.normalisation import NormalisedMap
from bench.ensemble.parameters import Parameters
from bench.ensemble.projection import look_up, project, sum_by_token
from hnrnn.models import FullyConnected, Model0, Model1
from hnrnn.variants import Variant


class LastToken:
    """``Model0`` and ``Model1``: batch normalisation in the recurrence, one prediction per row.

    Each normalisation is followed by ``h_h`` of the next step, and the last one by ``h_o``.
    """

    def __init__(self, parameters: Parameters, variant: Variant) -> None:
        model = parameters.models[0]
        bypass = isinstance(model, Model0)
        steps = min(variant.bptt, 3) if bypass else variant.bptt
        self.parameters, self.normalisations = parameters, steps
        self.layout = Layout(model.vocab_size, steps, last_only=True, first_bypasses=bypass)
        bs, like = model.batch_size, parameters.weights["i_h.weight"]
        seeds, vocab_size, hidden = like.shape
        self.table = like.new_empty(seeds, vocab_size * (2 if bypass else 1), hidden)
        self.states, self.d_sums = like.new_empty(2, seeds, steps, bs, hidden).unbind(0)
        self.state_steps, self.d_sum_steps = self.states.unbind(1), self.d_sums.unbind(1)
        self.d_state = like.new_empty(seeds, bs, hidden)
        self.scores, self.d_scores = like.new_empty(2, seeds, bs, vocab_size).unbind(0)
        self.maps = [
            NormalisedMap(parameters, "h_h.weight", None, groups=1, rows=bs)
            for _ in range(steps - 1)
        ]
        self.maps.append(NormalisedMap(parameters, "h_o.weight", "h_o.bias", groups=1, rows=bs))

    def _look_up(self, batch: Batch) -> None:
        """Set the sums before each ReLU to the part that comes from the tokens."""
        weights, vocab_size = self.parameters.weights, self.layout.vocab_size
        projected = self.table[:, :vocab_size]
        project(weights["i_h.weight"], weights["h_h.weight"], weights["h_h.bias"], projected)
        if self.layout.first_bypasses:
            self.table[:, vocab_size:].copy_(weights["i_h.weight"])
        look_up(self.table, batch, self.d_sums.flatten(1, 2))

    def train(self, batch: Batch) -> Tensor:
        self._look_up(batch)
        self.state_steps[0].copy_(self.d_sum_steps[0]).relu_()
        for step, normalised_map in enumerate(self.maps[:-1]):
            state = self.state_steps[step + 1]
            normalised_map.forward(self.state_steps[step], state)
            state.add_(self.d_sum_steps[step + 1]).relu_()
        self.maps[-1].forward(self.state_steps[-1], self.scores)
        losses = losses_and_gradient(self.scores, batch, self.d_scores)
        self.parameters.flat_gradients.zero_()
        gradient = self.d_scores
        backward = torch.ops.aten.threshold_backward.grad_input
        for step in range(len(self.maps) - 1, -1, -1):
            self.maps[step].backward(gradient, self.d_state)
            gradient = self.d_sum_steps[step]
            backward(self.d_state, self.state_steps[step], 0, grad_input=gradient)
        self._add_gradients(batch)
        return losses

    def _add_gradients(self, batch: Batch) -> None:
        weights, gradients = self.parameters.weights, self.parameters.gradients
        by_row = sum_by_token(self.d_sums.flatten(1, 2), batch)
        by_token = by_row[:, : self.layout.vocab_size]
        gradients["h_h.weight"].baddbmm_(by_token.mT, weights["i_h.weight"])
        gradients["h_h.bias"].add_(by_token.sum(1))
        gradients["i_h.weight"].baddbmm_(by_token, weights["h_h.weight"])
        if self.layout.first_bypasses:
            gradients["i_h.weight"].add_(by_row[:, self.layout.vocab_size :])

    def validate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        self._look_up(batch)
        state = self.state_steps[0].copy_(self.d_sum_steps[0]).relu_()
        for step, normalised_map in enumerate(self.maps[:-1]):
            following = self.state_steps[step + 1]
            normalised_map.apply(state, following)
            state = following.add_(self.d_sum_steps[step + 1]).relu_()
        self.maps[-1].apply(state, self.scores)
        return losses_and_correct(self.scores, batch)

    def store(self, batches: int) -> None:
        self.parameters.store(batches * self.normalisations)


class EveryToken:
    """``Model2`` to ``Model7``: recurrent layers, then batch normalisation and the output map.

    ``Model2`` and ``Model3`` normalise each step separately, the others all steps together.
    """

    def __init__(self, parameters: Parameters, variant: Variant) -> None:
        model, steps = parameters.models[0], variant.bptt
        self.parameters = parameters
        self.layout = Layout(model.vocab_size, steps, last_only=False, first_bypasses=False)
        self.layers = _layers(parameters, variant)
        self.keeps_state = hasattr(model, "h")
        self.normalisations = steps if isinstance(model, FullyConnected) else 1
        groups, tokens = self.normalisations, steps * model.batch_size
        self.output_map = NormalisedMap(
            parameters, "h_o.weight", "h_o.bias", groups=groups, rows=tokens // groups
        )
        like = parameters.flat_weights
        self.scores, self.d_scores = like.new_empty(2, len(like), tokens, model.vocab_size).unbind(
            0
        )
        self.d_states = like.new_empty(len(like), tokens, model.hidden_size)

    def train(self, batch: Batch) -> Tensor:
        states = self._states(batch)
        self.output_map.forward(states, self.scores)
        losses = losses_and_gradient(self.scores, batch, self.d_scores)
        self.parameters.flat_gradients.zero_()
        self.output_map.backward(self.d_scores, self.d_states)
        self.layers[-1].backward(self.d_states, batch)
        self._keep_state()
        return losses

    def validate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        self.output_map.apply(self._states(batch), self.scores)
        self._keep_state()
        return losses_and_correct(self.scores, batch)

    def store(self, batches: int) -> None:
        self.parameters.store(batches * self.normalisations)
        if self.keeps_state:
            h = torch.stack([layer.state_steps[0] for layer in self.layers], dim=1).cpu()
            for model, its_h in zip(self.parameters.models, h, strict=True):
                model.h.copy_(its_h.view(model.h.shape))

    def _states(self, batch: Batch) -> Tensor:
        """Return the last layer's states, (S, steps * bs, hidden)."""
        return [layer.forward(batch) for layer in self.layers][-1]

    def _keep_state(self) -> None:
        """Start the next batch from the last state of this one."""
        if self.keeps_state:
            for layer in self.layers:
                layer.state_steps[0].copy_(layer.state_steps[-1])


def _layers(parameters: Parameters, variant: Variant) -> list[Elman] | list[GRULayer]:
    model, steps = parameters.models[0], variant.bptt
    bs = model.batch_size
    if isinstance(model, FullyConnected):
        names: tuple[str, str, tuple[str, ...]] = ("h_h.weight", "h_h.weight", ("h_h.bias",))
        return [Elman(parameters, names, relu=True, steps=steps, bs=bs)]
    if variant.recurrence == "tanh":
        names = ("weight_ih_l0", "weight_hh_l0", ("bias_ih_l0", "bias_hh_l0"))
        return [Elman(parameters, names, relu=False, steps=steps, bs=bs)]
    layers: list[GRULayer] = []
    for layer in range(variant.num_layers):
        below = layers[-1] if layers else None
        layers.append(GRULayer(parameters, layer=layer, steps=steps, bs=bs, below=below))
    return layers


EnsembleModel = LastToken | EveryToken
"""A model of S seeds, with ``normalisations`` calls of BatchNorm per training batch.

``train`` returns the losses of a batch, (S,), and sets the parameters' gradients; ``validate``
returns the losses and the numbers of correct predictions, both (S,); ``store`` copies the state
after a number of training batches back into the models. ``scores`` are those of the last training
batch, (S, M, V), with M as in ``bench.ensemble.batches``.
"""


def ensemble_model(parameters: Parameters, variant: Variant) -> EnsembleModel:
    """Return the variant's model for the seeds of ``parameters``."""
    if isinstance(parameters.models[0], (Model0, Model1)):
        return LastToken(parameters, variant)
    return EveryToken(parameters, variant)
