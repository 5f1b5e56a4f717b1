"""Faults to inject into a training, to see whether a verdict finds them, and harmless controls.

This module does not import torch. ``bench.execution.fault_injection`` has the code of each fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from bench.plan.grid import BACKENDS
from hnrnn.variants import Variant

STATELESS = ("Model0", "Model1", "Model2")
"""Variants that keep no hidden state between batches."""


class Need(NamedTuple):
    """What some faults need of a variant, and what is said of one that lacks it."""

    holds: Callable[[Variant], bool]
    otherwise: str


NEEDS: Mapping[str, Need] = MappingProxyType(
    {
        "state": Need(lambda variant: variant.name not in STATELESS, "keeps no hidden state"),
        "gates": Need(lambda variant: variant.recurrence == "gru", "has no gates"),
        "layers": Need(lambda variant: variant.num_layers > 1, "has one recurrent layer"),
    }
)


@dataclass(frozen=True)
class Fault:
    """One way to train that departs from the recipe."""

    name: str
    description: str
    control: bool = False
    """Whether the mathematics stays the same, so that no verdict may change."""
    needs: str | None = None
    """What a variant must have for it to change anything: one of ``NEEDS``."""
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
        if self.needs and not NEEDS[self.needs].holds(variant):
            return f"{variant.name} {NEEDS[self.needs].otherwise}"
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
        needs="state",
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
    # No limit was chosen with the following in view.
    Fault("weight_decay_0.011", "The weight decay is 0.011 instead of 0.01."),
    Fault("lr_times_1.01", "The learning rate is 1% higher at every step."),
    Fault("adam_beta_0.999", "Adam's second beta is 0.999 instead of 0.99."),
    Fault("adam_eps_1e-5", "Adam's eps is 1e-5 instead of 1e-8."),
    Fault("gradient_clipping", "The gradient is shortened to a norm of at most 0.25."),
    Fault("batch_missing", "Every training pass ends one batch early."),
    Fault("label_smoothing", "A tenth of every training target goes to all tokens alike."),
    Fault("gate_order", "A GRU's reset and update gates have each other's weights.", needs="gates"),
    Fault(
        "state_of_other_layer",
        "Each layer starts a batch from the hidden state that the other one has left.",
        needs="layers",
    ),
    Fault("half_precision", "The product with the output's weights is computed in bfloat16."),
    Fault("batchnorm_momentum", "BatchNorm's running statistics have momentum 0.01, not 0.1."),
    Fault(
        "batchnorm_trains_in_validation",
        "Validation batches are normalised by their own statistics.",
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
