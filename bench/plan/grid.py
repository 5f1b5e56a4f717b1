"""The grid's other side: which backends there are, and which recurrences each can execute.

Needs no torch. What a backend does stands in ``bench.backends``, in the file of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.store.records import ENSEMBLE
from hnrnn.variants import Recurrence, Variant

NOTEBOOK = "notebook"
"""In a command, each variant's own backend: the one that the notebook runs it on."""
NOTEBOOK_BACKENDS = ("nn", "cell", "custom")
"""The three that the notebook compares."""

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
        """Return whether the variant's recurrence is one that this backend is made for."""
        return variant.recurrence in self.recurrences


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
        "many seeds of a variant as one batched computation, hand-written",
        _EVERY,
        joint=True,
    ),
)

BACKENDS: Mapping[str, Backend] = MappingProxyType({backend.name: backend for backend in _TABLE})
"""Backend by name."""


def reference_backend(variant: Variant) -> str:
    """Return what the others are held against: ``nn``, or ``custom`` where there is no module."""
    return "nn" if BACKENDS["nn"].executes(variant) else "custom"
