"""The table of backends, and which recurrences each can execute.

Needs no torch. What a backend does stands in ``bench.backends``, in the file of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.store.records import ENSEMBLE
from hnrnn.variants import VARIANTS, Recurrence, Variant

NOTEBOOK = "notebook"
"""Stands for each variant's own backend: the one that the notebook runs it on."""
NOTEBOOK_BACKENDS = ("nn", "cell", "custom")
"""The three backends that the notebook compares."""

_MODULE: frozenset[Recurrence] = frozenset({"tanh", "gru"})
_EVERY: frozenset[Recurrence] = frozenset({"relu", "tanh", "gru"})


@dataclass(frozen=True)
class Backend:
    """A way to execute a recurrence: same mathematics, same parameters."""

    name: str
    description: str
    recurrences: frozenset[Recurrence]
    graphed: bool = False
    """Whether the whole training step is captured, not the recurrence alone."""
    joint: bool = False
    """Whether the seeds of a variant are trained together, so that a task holds many runs."""

    def executes(self, variant: Variant) -> bool:
        """Return whether the backend executes the variant's recurrence."""
        return variant.recurrence in self.recurrences

    @property
    def needs(self) -> str:
        """What a variant must be for this backend to execute it, for people."""
        names = [variant.name for variant in VARIANTS.values() if self.executes(variant)]
        return f"{self.name} needs a recurrent model ({names[0]} to {names[-1]})"


_TABLE = (
    Backend("nn", "nn.RNN or nn.GRU: cuDNN on a GPU, ATen on a CPU", _MODULE),
    Backend("nn_no_cudnn", "the same with cuDNN off: a GPU's ATen", _MODULE),
    Backend("cell", "Python loop over nn.RNNCell or nn.GRUCell", _MODULE),
    Backend("custom", "Python loop over the hand-written cell", _EVERY),
    Backend(
        "custom_hoisted",
        "hand-written, the input projection of all steps in one product, own backward",
        _EVERY,
    ),
    Backend("compiled", "torch.compile of the custom loop", _EVERY),
    Backend(
        "graphed",
        "the whole training step as a CUDA graph, over nn (ReLU: custom)",
        _EVERY,
        graphed=True,
    ),
    Backend(
        "graphed_loop",
        "the whole training step as a CUDA graph, over custom_hoisted",
        _EVERY,
        graphed=True,
    ),
    Backend(
        ENSEMBLE,
        "many seeds of a variant trained together as one batched computation, hand-written",
        _EVERY,
        joint=True,
    ),
)

BACKENDS: Mapping[str, Backend] = MappingProxyType({backend.name: backend for backend in _TABLE})
"""Backend by name."""


def reference_backend(variant: Variant) -> str:
    """Return what the others are held against: ``nn``, or ``custom`` where there is no module."""
    return "nn" if BACKENDS["nn"].executes(variant) else "custom"
