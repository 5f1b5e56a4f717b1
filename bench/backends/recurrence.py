"""The interface of a recurrence, which is the same for every backend.

A recurrence is called like ``nn.GRU(batch_first=True)``: from x, (batch, time, input), and h,
(layers, batch, hidden), it returns the outputs, (batch, time, hidden), and the final h. Its
parameters have canonical names, layouts and gate orders, those of ``nn.GRU`` (``weight_ih_l0`` and
so on), so that the weights and gradients of all backends can be compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from hnrnn.models import Model, Model6, Model7, Recurrent, check_rows

NAMES_IN_CELL = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The parameters of ``nn.RNNCell`` and ``nn.GRUCell``: canonical names without the layer."""
NAMES_IN_HAND_WRITTEN_CELL = ("i2h.weight", "h2h.weight", "i2h.bias", "h2h.bias")
"""The parameters of the cells in ``hnrnn.cells``, in the same order, with the same shapes."""


class LoopRecurrence(nn.Module):
    """A Python loop over the time steps, with one cell per layer, layer by layer."""

    def __init__(self, cell: Callable[[int, int], nn.Module], sizes: tuple[int, int, int]) -> None:
        """Make cells, which map (batch, input) and (batch, hidden) to the next (batch, hidden).

        ``cell`` takes the input size and the hidden size; ``sizes`` are those and the number of
        layers.
        """
        super().__init__()
        input_size, hidden_size, num_layers = sizes
        input_sizes = (input_size, *[hidden_size] * (num_layers - 1))
        self.cells = nn.ModuleList(cell(size, hidden_size) for size in input_sizes)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return all outputs and the final h, as described at the top of this module."""
        final = []
        for cell, h_layer in zip(self.cells, h.unbind(0), strict=True):
            h_step = h_layer
            outputs = []
            for x_step in x.unbind(1):
                h_step = cell(x_step, h_step)
                outputs.append(h_step)
            x = torch.stack(outputs, dim=1)
            final.append(h_step)
        return x, torch.stack(final)


def canonical_parameters(recurrence: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters by canonical name; raise TypeError if one has none."""
    parameters = dict(recurrence.named_parameters())
    if not isinstance(recurrence, LoopRecurrence):
        unknown = [name for name in parameters if "_l" not in name]
        if unknown:
            raise TypeError(f"{type(recurrence).__name__} has no canonical {', '.join(unknown)}")
        return parameters
    result: dict[str, nn.Parameter] = {}
    for layer, cell in enumerate(recurrence.cells):
        result |= _cell_parameters(cell, layer)
    return result


def _cell_parameters(cell: nn.Module, layer: int) -> dict[str, nn.Parameter]:
    parameters = dict(cell.named_parameters())
    for names in (NAMES_IN_CELL, NAMES_IN_HAND_WRITTEN_CELL):
        if parameters.keys() == set(names):
            pairs = zip(NAMES_IN_CELL, names, strict=True)
            return {f"{canonical}_l{layer}": parameters[name] for canonical, name in pairs}
    raise TypeError(
        f"the parameters of {type(cell).__name__} are {', '.join(parameters) or 'none'}; "
        f"a cell has {', '.join(NAMES_IN_CELL)}, or {', '.join(NAMES_IN_HAND_WRITTEN_CELL)}"
    )


def model_weights(model: Model) -> dict[str, nn.Parameter]:
    """Return the parameters of the recurrence in one of the notebook's models, by canonical name.

    For ``Model6`` and ``Model7`` they are those of the cell: the inherited module is never used.
    Raises TypeError for a model without a recurrent module.
    """
    if isinstance(model, (Model6, Model7)):
        return _cell_parameters(model.rnnc, layer=0)
    if isinstance(model, Recurrent):
        return canonical_parameters(model.rnn)
    raise TypeError(f"{type(model).__name__} has no recurrent module")


def load_weights(recurrence: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights by canonical name, after moving the recurrence to their dtype and device.

    Raises ValueError if the names or the shapes differ from those of the recurrence.
    """
    first = next(iter(weights.values()))
    recurrence.to(device=first.device, dtype=first.dtype)
    parameters = canonical_parameters(recurrence)
    shapes = {name: tuple(parameter.shape) for name, parameter in parameters.items()}
    given = {name: tuple(weight.shape) for name, weight in weights.items()}
    if shapes != given:
        raise ValueError(f"weights {given} do not fit a recurrence of {shapes}")
    with torch.no_grad():
        for name, weight in weights.items():
            parameters[name].copy_(weight)


class ConvertedModel(nn.Module):
    """A recurrent model of the notebook with the recurrence of a backend.

    ``i_h``, ``h_o`` and ``bn`` are those of the model; ``rnn`` is the backend's recurrence with the
    model's weights; the kept state ``h`` has shape (layers, batch, hidden).
    """

    h: Tensor

    def __init__(self, model: Recurrent, recurrence: nn.Module) -> None:
        super().__init__()
        load_weights(recurrence, model_weights(model))
        self.i_h: nn.Module = model.i_h
        self.rnn = recurrence
        self.h_o, self.bn = model.h_o, model.bn
        h = model.h if model.h.dim() == 3 else model.h[None]
        self.register_buffer("h", h.clone(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after each one, and keep the last hidden state."""
        check_rows(x, self.h)
        outputs, h = self.rnn(self.i_h(x), self.h)
        self.h = h.detach()
        scores: Tensor = self.h_o(self.bn(outputs))
        return scores
