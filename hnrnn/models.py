"""``Model0`` to ``Model7``: the notebook's eight models, with its attribute names.

``i_h`` maps input to hidden, ``h_h`` hidden to hidden, ``h_o`` hidden to output; ``bn`` is batch
normalisation, ``rnn`` a recurrent module, ``rnnc`` a recurrent cell. State dicts have the same
names and shapes as in the notebook.

Every model takes x, int64 token numbers of shape (batch, time). ``Model0`` and ``Model1`` return
scores for the token after the last one, (batch, vocab); the others return scores for the token
after each one, (batch, time, vocab). ``Model3`` to ``Model7`` keep their hidden state ``h`` from
call to call, in a buffer that moves with the model but is not part of the state dict. No model has
a method named ``reset``, because fastai would call it at the start of a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnrnn.cells import GRUCell
from hnrnn.variants import Variant, find_variant

INITIALISATIONS = ("ones", "uniform")
"""Where the BatchNorm weights start: at 1, or drawn from U(0, 1) as in PyTorch before 1.2."""


class BatchNorm1dFlat(nn.BatchNorm1d):
    """Batch normalisation of the last dimension over all others."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's own name
        """Return the normalised input, (..., features)."""
        return super().forward(input.flatten(0, -2)).view_as(input)


class Model(nn.Module):
    """Base of all eight models: token embedding, output map, batch normalisation and sizes."""

    h: Tensor

    def __init__(
        self,
        *,
        vocab_size: int = 40,
        hidden_size: int = 64,
        batch_size: int = 64,
        num_layers: int = 1,
        initialisation: str = "ones",
        device: str | torch.device = "cpu",
    ) -> None:
        """Draw the weights from torch's CPU generator, then move them to ``device``.

        Raises ValueError for a size below 1 and for an unknown initialisation.
        """
        sizes = {
            "vocab_size": vocab_size,
            "hidden_size": hidden_size,
            "batch_size": batch_size,
            "num_layers": num_layers,
        }
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be 1 or more, not {size}")
        if initialisation not in INITIALISATIONS:
            raise ValueError(
                f"unknown initialisation {initialisation!r}: choose from "
                f"{', '.join(INITIALISATIONS)}"
            )
        super().__init__()
        self.vocab_size, self.hidden_size = vocab_size, hidden_size
        self.batch_size, self.num_layers = batch_size, num_layers
        self.initialisation = initialisation
        self.add_layers()
        self.to(device)

    def add_layers(self) -> None:
        """Add the layers in the notebook's order, in which their weights are drawn."""
        raise NotImplementedError

    def start(self, layer: nn.BatchNorm1d) -> nn.BatchNorm1d:
        """Return a new BatchNorm layer with its weights started as ``initialisation`` says.

        ``uniform`` draws them as soon as the layer is built, as PyTorch did before 1.2: layers that
        are built later get other weights than with ``ones``.
        """
        if self.initialisation == "uniform":
            nn.init.uniform_(layer.weight)
        return layer

    def keep_state(self, *shape: int) -> None:
        """Add the hidden state that is kept from batch to batch, zero at first."""
        self.register_buffer("h", torch.zeros(*shape), persistent=False)


def check_rows(x: Tensor, h: Tensor) -> None:
    """Raise ValueError if x and the kept hidden state differ in their number of rows.

    x is (batch, time), h is (batch, hidden) or (layers, batch, hidden).
    """
    rows = h.shape[-2]
    if x.shape[0] != rows:
        raise ValueError(
            f"x has {x.shape[0]} rows but the kept hidden state has {rows}: "
            f"build the model with batch_size={x.shape[0]}"
        )


class FullyConnected(Model):
    """Base of ``Model0`` to ``Model3``, whose recurrence is a linear map with a ReLU."""

    def add_layers(self) -> None:
        """Add the embedding, the hidden and the output map, and batch normalisation."""
        if self.num_layers != 1:
            raise ValueError(
                f"{type(self).__name__} has one hidden layer, not num_layers={self.num_layers}"
            )
        self.i_h = nn.Embedding(self.vocab_size, self.hidden_size)
        self.h_h = nn.Linear(self.hidden_size, self.hidden_size)
        self.h_o = nn.Linear(self.hidden_size, self.vocab_size)
        self.bn = self.start(nn.BatchNorm1d(self.hidden_size))

    def zero_state(self, x: Tensor) -> Tensor:
        """Return a hidden state of zeros, (batch, hidden)."""
        return self.h_h.weight.new_zeros(x.shape[0], self.hidden_size)


class Model0(FullyConnected):
    """Three steps, written out one by one; the first token bypasses ``h_h``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after the third one of a row (after the last, if shorter)."""
        h = self.bn(F.relu(self.i_h(x[:, 0])))
        for step in range(1, min(x.shape[1], 3)):
            h = self.bn(F.relu(self.h_h(h + self.i_h(x[:, step]))))
        scores: Tensor = self.h_o(h)
        return scores


class Model1(FullyConnected):
    """The same recurrence as a loop over any number of tokens, starting from zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after the last one of a row."""
        h = self.zero_state(x)
        for step in range(x.shape[1]):
            h = self.bn(F.relu(self.h_h(h + self.i_h(x[:, step]))))
        scores: Tensor = self.h_o(h)
        return scores


class Model2(FullyConnected):
    """Scores after every token; batch normalisation only on the way to the output."""

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after each one."""
        h = self.zero_state(x)
        scores = []
        for step in range(x.shape[1]):
            h = F.relu(self.h_h(h + self.i_h(x[:, step])))
            scores.append(self.h_o(self.bn(h)))
        return torch.stack(scores, dim=1)


class Model3(FullyConnected):
    """``Model2`` with a hidden state that is kept from batch to batch."""

    def add_layers(self) -> None:
        """Add the layers and the kept state, (batch, hidden)."""
        super().add_layers()
        self.keep_state(self.batch_size, self.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after each one, and keep the last hidden state."""
        check_rows(x, self.h)
        h = self.h
        normalised = []
        for step in range(x.shape[1]):
            h = F.relu(self.h_h(h + self.i_h(x[:, step])))
            normalised.append(self.bn(h))
        self.h = h.detach()
        scores: Tensor = self.h_o(torch.stack(normalised, dim=1))
        return scores


class Recurrent(Model):
    """Base of ``Model4`` and ``Model5``: PyTorch's recurrent module with a kept state."""

    rnn_type: type[nn.RNN | nn.GRU]

    def add_layers(self) -> None:
        """Add the layers and the kept state, (layers, batch, hidden)."""
        self.i_h = nn.Embedding(self.vocab_size, self.hidden_size)
        self.rnn = self.rnn_type(
            self.hidden_size, self.hidden_size, num_layers=self.num_layers, batch_first=True
        )
        self.h_o = nn.Linear(self.hidden_size, self.vocab_size)
        self.bn = self.start(BatchNorm1dFlat(self.hidden_size))
        self.keep_state(self.num_layers, self.batch_size, self.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after each one, and keep the last hidden state."""
        check_rows(x, self.h)
        outputs, h = self.rnn(self.i_h(x), self.h)
        self.h = h.detach()
        scores: Tensor = self.h_o(self.bn(outputs))
        return scores


class Model4(Recurrent):
    """A one-layer ``nn.RNN`` with tanh."""

    rnn_type = nn.RNN


class Model5(Recurrent):
    """A two-layer ``nn.GRU``."""

    rnn_type = nn.GRU

    def __init__(self, *, num_layers: int = 2, **sizes: object) -> None:
        """Build the model as ``Model`` does, with two layers by default."""
        super().__init__(num_layers=num_layers, **sizes)  # type: ignore[arg-type]


class Model6(Model5):
    """One layer as a loop over ``nn.GRUCell``.

    Like the notebook's model it inherits ``Model5``'s ``rnn`` and never uses it, but the parameters
    of ``rnn`` take part in the draw of the initial weights. ``num_layers`` is the size of ``rnn``.
    """

    def add_layers(self) -> None:
        """Add ``Model5``'s layers, then the cell and its kept state, (batch, hidden)."""
        super().add_layers()
        self.rnnc: nn.Module = nn.GRUCell(self.hidden_size, self.hidden_size)
        self.keep_state(self.batch_size, self.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Return scores for the token after each one, and keep the last hidden state."""
        check_rows(x, self.h)
        h = self.h
        outputs = []
        for x_step in self.i_h(x).unbind(dim=1):
            h = self.rnnc(x_step, h)
            outputs.append(h)
        self.h = h.detach()
        scores: Tensor = self.h_o(self.bn(torch.stack(outputs, dim=1)))
        return scores


class Model7(Model6):
    """``Model6`` with the hand-written cell, drawn after the ``GRUCell`` that it replaces."""

    def add_layers(self) -> None:
        """Add ``Model6``'s layers, then the hand-written cell in place of its cell."""
        super().add_layers()
        self.rnnc = GRUCell(self.hidden_size, self.hidden_size)


MODELS: Mapping[str, type[Model]] = MappingProxyType(
    {
        model.__name__: model
        for model in (Model0, Model1, Model2, Model3, Model4, Model5, Model6, Model7)
    }
)


def build_model(variant: str | Variant, **sizes: object) -> Model:
    """Return the variant's model with fresh weights from torch's CPU generator.

    ``sizes`` are ``vocab_size`` (40), ``hidden_size`` (64), ``batch_size`` (64), ``num_layers``
    (2 for ``Model5`` to ``Model7``, else 1), ``initialisation`` ("ones") and ``device`` ("cpu");
    the defaults are the notebook's. Raises ValueError for an unknown variant or size, or a size
    that the model cannot have.
    """
    name = find_variant(variant).name
    known = ("vocab_size", "hidden_size", "batch_size", "num_layers", "initialisation", "device")
    unknown = [size for size in sizes if size not in known]
    if unknown:
        raise ValueError(f"unknown size {', '.join(unknown)}: choose from {', '.join(known)}")
    return MODELS[name](**sizes)  # type: ignore[arg-type]
