"""The notebook's eight models with their recipes: one frozen table.

This module does not import torch, so that a command line can check its arguments quickly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Target = Literal["every", "last"]
Recurrence = Literal["relu", "tanh", "gru"]

LARGEST_SEED = 2**32 - 1
"""The largest seed of a training: torch's CPU generator uses 32 bits of it."""


@dataclass(frozen=True)
class Variant:
    """One of the notebook's models with its training recipe.

    ``target`` says which tokens are predicted: the one after ``every`` input token, or only the
    one after the ``last`` token of a row (the notebook's ``loss4`` and ``acc4``). The loss is the
    cross-entropy of those predictions, the metric their accuracy.
    """

    name: str
    description: str
    backend: str
    """How the notebook executes the recurrence: ``nn`` module, ``cell`` loop, ``custom`` loop."""
    bptt: int
    """Tokens per row of a batch: the length of back-propagation through time."""
    epochs: int
    learning_rate: float
    """The peak of the one-cycle schedule."""
    recurrence: Recurrence
    """A linear map with a ReLU, an Elman network with tanh, or a gated recurrent unit."""
    num_layers: int = 1
    """The number of recurrent layers that are executed."""
    pct_start: float = 0.3
    """The share of all batches over which the learning rate rises."""
    target: Target = "every"

    @property
    def loss(self) -> str:
        """The name of the loss function."""
        return "cross_entropy" if self.target == "every" else "cross_entropy_of_last"

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return "accuracy" if self.target == "every" else "accuracy_of_last"


_TABLE = (
    Variant("Model0", "three fully connected steps", "custom", 3, 6, 1e-4, "relu", target="last"),
    Variant("Model1", "the same as a loop", "custom", 3, 6, 1e-4, "relu", target="last"),
    Variant("Model2", "loop, every token predicted", "custom", 20, 10, 1e-4, "relu", pct_start=0.1),
    Variant("Model3", "loop, state kept", "custom", 20, 20, 3e-3, "relu"),
    Variant("Model4", "nn.RNN, state kept", "nn", 20, 20, 3e-3, "tanh"),
    Variant("Model5", "two-layer nn.GRU", "nn", 20, 10, 1e-2, "gru", num_layers=2),
    Variant("Model6", "one-layer GRUCell loop", "cell", 20, 10, 1e-2, "gru"),
    Variant("Model7", "one-layer hand-written GRU cell", "custom", 20, 10, 1e-2, "gru"),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.name: variant for variant in _TABLE})
"""The variants by name, ``Model0`` to ``Model7``, in the notebook's order."""


def find_variant(variant: str | Variant) -> Variant:
    """Return the variant with that name, or the variant itself; raise ValueError for no name."""
    if isinstance(variant, Variant):
        return variant
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: choose from {', '.join(VARIANTS)}")
    return VARIANTS[variant]
