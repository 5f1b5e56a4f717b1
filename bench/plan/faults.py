"""Faults to inject into a training, to see whether a verdict finds them, and harmless controls.

This module does not import torch. ``bench.execution.fault_injection`` has the code of each fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bench.plan.grid import BACKENDS
from hnrnn.variants import Variant

STATELESS = ("Model0", "Model1", "Model2")
"""Variants that keep no hidden state between batches."""


@dataclass(frozen=True)
class Fault:
    """One way to train that departs from the recipe."""

    name: str
    description: str
    control: bool = False
    """Whether the mathematics stays the same, so that no verdict may change."""
    needs_state: bool = False
    """Whether it applies only to models that keep their hidden state."""
    replaces_bptt: int | None = None
    """The only bptt to which it applies; None if it applies to any."""
    threads: int | None = None
    """The number of CPU threads; None if it does not change that."""

    def why_inapplicable(self, variant: Variant, backend: str) -> str | None:
        """Return why it cannot be injected into a variant on a backend; None if it can."""
        if BACKENDS[backend].graphed:
            return f"{backend} captures the training step that it would change"
        if BACKENDS[backend].joint:
            return f"{backend} has a training loop of its own"
        if self.needs_state and variant.name in STATELESS:
            return f"{variant.name} keeps no hidden state"
        if self.replaces_bptt not in (None, variant.bptt):
            return f"{variant.name} has bptt {variant.bptt}, not {self.replaces_bptt}"
        return None


_TABLE = (
    Fault("lr_times_3", "The learning rate is three times the recipe's at every step."),
    Fault("lr_over_3", "The learning rate is a third of the recipe's at every step."),
    Fault("weight_decay_0", "The weight decay is 0 instead of 0.01."),
    Fault("weight_decay_0.1", "The weight decay is 0.1 instead of 0.01."),
    Fault(
        "state_reset",
        "The hidden state is set to zero before every batch, in training and validation.",
        needs_state=True,
    ),
    Fault("targets_off_by_one", "Every target is one token later than it should be."),
    Fault("bptt_70", "The rows of a batch have 70 tokens instead of 20.", replaces_bptt=20),
    Fault("batchnorm_eval", "BatchNorm stays in eval mode while the model is trained."),
    Fault("same_seed", "Every run is trained with seed 0 instead of its own seed."),
    Fault("momentum_fixed", "The momentum is 0.95 at every step instead of a cycle down to 0.85."),
    Fault(
        "fastai_v2_defaults",
        "fastai v2's data loader, Adam, one-cycle schedule and resets of the hidden state.",
    ),
    Fault("threads_2", "Two CPU threads instead of one.", control=True, threads=2),
    Fault(
        "reordered_sum",
        "The rows of every batch are reversed, so that sums over them have another order.",
        control=True,
    ),
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in _TABLE})
"""Fault or control by name."""
