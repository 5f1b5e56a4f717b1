"""The notebook's eight models, each with its recipe: one frozen table.

Needs no torch, so that a command line can check its arguments before anything heavy is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Target = Literal["every", "last"]
Recurrence = Literal["relu", "tanh", "gru"]

LARGEST_SEED = 2**32 - 1
"""Of a training: torch's generator for the CPU takes no more bits, and larger ones repeat these."""


@dataclass(frozen=True)
class Variant:
    """A model of the notebook with the recipe that the notebook trains it by.

    ``target`` says which tokens are predicted: the one after ``every`` input token, or only the
    one after a row's ``last`` (the notebook's ``loss4`` and ``acc4``). Loss and metric are the
    cross-entropy and the accuracy over those.
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
    """A linear map and a ReLU, an Elman network's tanh, or a gated recurrent unit."""
    num_layers: int = 1
    """Recurrent layers that are executed."""
    pct_start: float = 0.3
    """Share of the batches over which the learning rate rises."""
    target: Target = "every"

    @property
    def loss(self) -> str:
        """Name of the loss function."""
        return "cross_entropy" if self.target == "every" else "cross_entropy_of_last"

    @property
    def metric(self) -> str:
        """Name of the metric."""
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
"""Variant by name, ``Model0`` to ``Model7``, in the notebook's order."""


def find_variant(variant: str | Variant) -> Variant:
    """Return the variant of that name, or the variant itself.

    Raises ValueError with the known names where there is none of that name.
    """
    if isinstance(variant, Variant):
        return variant
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: choose from {', '.join(VARIANTS)}")
    return VARIANTS[variant]
