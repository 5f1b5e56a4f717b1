"""The table of backends, and which recurrences each can execute.

This module does not import torch. ``bench.backends`` has one file per backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.store.records import ENSEMBLE
from hnrnn.variants import VARIANTS, Recurrence, Variant

NOTEBOOK = "notebook"
"""The name for each variant's own backend, on which the notebook runs it."""
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
    needs_gpu: bool = False

    def executes(self, variant: Variant) -> bool:
        """Return whether the backend executes the variant's recurrence."""
        return variant.recurrence in self.recurrences

    @property
    def needs(self) -> str:
        """The variants that this backend can execute, for messages."""
        names = [variant.name for variant in VARIANTS.values() if self.executes(variant)]
        return f"{self.name} needs a recurrent model ({names[0]} to {names[-1]})"


_TABLE = (
    Backend("nn", "nn.RNN or nn.GRU: cuDNN on a GPU, ATen on a CPU", _MODULE),
    Backend("nn_no_cudnn", "nn without cuDNN: ATen on a GPU", _MODULE, needs_gpu=True),
    Backend("cell", "Python loop over nn.RNNCell or nn.GRUCell", _MODULE),
    Backend("custom", "Python loop over a hand-written cell", _EVERY),
    Backend(
        "custom_hoisted",
        "hand-written layers: one input projection for all steps, own backward",
        _EVERY,
    ),
    Backend("compiled", "torch.compile of the custom loop", _EVERY),
    Backend(
        "graphed",
        "the whole training step as a CUDA graph, over nn (ReLU: custom)",
        _EVERY,
        graphed=True,
        needs_gpu=True,
    ),
    Backend(
        "graphed_loop",
        "the whole training step as a CUDA graph, over custom_hoisted",
        _EVERY,
        graphed=True,
        needs_gpu=True,
    ),
    Backend(
        ENSEMBLE,
        "many seeds of a variant trained together as one batched computation, hand-written",
        _EVERY,
        joint=True,
    ),
)

BACKENDS: Mapping[str, Backend] = MappingProxyType({backend.name: backend for backend in _TABLE})


def reference_backend(variant: Variant) -> str:
    """Return the backend that the others are compared with: ``nn`` if possible, or ``custom``."""
    return "nn" if BACKENDS["nn"].executes(variant) else "custom"
