"""The parity gate of the ensemble: every seed that is trained with others, against itself alone.

Compared are, as for other backends, scores, kept state, running statistics and the gradients of all
parameters, on the same batches.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.backends import IMPLEMENTATIONS
from bench.ensemble.batches import prepare
from bench.ensemble.models import ensemble_model
from bench.ensemble.parameters import Parameters
from bench.execution.parity import (
    BATCHES,
    Parity,
    Quantities,
    float32_differences,
    float64_differences,
    model_and_batches,
    model_quantities,
    on_cpu,
    parity_of,
    reference_of,
)
from hnrnn.settings import pinned_settings
from hnrnn.variants import Variant

SEEDS = (0, 1, 2)


@pinned_settings()
def check_ensemble(variant: Variant, device: str) -> Parity:
    """Hold the variant's ensemble against the reference backend, seed by seed, with TF32 off."""
    reference, rounded = (_alone(variant, dtype) for dtype in (torch.float64, torch.float32))
    found = partial(_together, variant, device)
    return parity_of(
        float64_differences(reference, found(torch.float64)),
        float32_differences(reference, rounded, found(torch.float32)),
    )


def _alone(variant: Variant, dtype: torch.dtype) -> Quantities:
    found: Quantities = {}
    for seed in SEEDS:
        quantities = model_quantities(variant, reference_of(variant), dtype, "cpu", seed)
        found |= {_name(seed, name): values for name, values in quantities.items()}
    return found


@torch.no_grad()
def _together(variant: Variant, device: str, dtype: torch.dtype) -> Quantities:
    own = IMPLEMENTATIONS[variant.backend]
    both = [model_and_batches(variant, own, dtype, "cpu", seed, BATCHES) for seed in SEEDS]
    parameters = Parameters([model for model, _ in both], device)  # type: ignore[misc]
    ensemble = ensemble_model(parameters, variant)
    stream = [(x.to(device), y.to(device)) for x, y in both[0][1]]
    found: Quantities = {}
    for step, batch in enumerate(prepare(stream, ensemble.layout, seeds=len(SEEDS), dtype=dtype)):
        ensemble.train(batch)
        for index, seed in enumerate(SEEDS):
            its = {f"scores {step}": _by_row(ensemble.scores[index], len(stream[0][0]))}
            its |= {
                f"gradient {step} of {name}": gradients[index]
                for name, gradients in parameters.gradients.items()
            }
            found |= on_cpu({_name(seed, name): values for name, values in its.items()})
    ensemble.store(BATCHES)
    for seed, model in zip(SEEDS, parameters.models, strict=True):
        buffers = {n: buffer for n, buffer in model.named_buffers() if buffer.is_floating_point()}
        found |= on_cpu({_name(seed, name): buffer for name, buffer in buffers.items()})
    return found


def _by_row(scores: Tensor, rows: int) -> Tensor:
    """Return time-major scores, (steps * rows, V), as (rows, steps, V); of one step, (rows, V)."""
    by_step = scores.view(-1, rows, scores.shape[-1])
    return by_step[0] if len(by_step) == 1 else by_step.transpose(0, 1)


def _name(seed: int, name: str) -> str:
    return f"{name.replace(' rnn.', ' ')} of seed {seed}"
