"""The parity gate of the ensemble: every seed trained with others, compared with itself alone."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from bench.backends import IMPLEMENTATIONS
from bench.ensemble.batches import prepare
from bench.ensemble.models import ensemble_model
from bench.ensemble.parameters import Parameters
from bench.execution import parity as gate
from bench.execution.parity import Quantities
from hnrnn.settings import pinned_settings
from hnrnn.variants import Variant

SEEDS = (0, 1, 2)


@pinned_settings()
def check_ensemble(variant: Variant, device: str) -> gate.Parity:
    """Compare the variant's ensemble with the reference backend, seed by seed, without TF32."""
    reference, rounded = (_alone(variant, dtype) for dtype in (torch.float64, torch.float32))
    found = partial(_together, variant, device)
    return gate.parity_of(
        gate.float64_differences(reference, found(torch.float64)),
        gate.float32_differences(reference, rounded, found(torch.float32)),
    )


def _alone(variant: Variant, dtype: torch.dtype) -> Quantities:
    reference = gate.reference_of(variant)
    return _by_seed(
        [gate.model_quantities(variant, reference, dtype, "cpu", seed) for seed in SEEDS]
    )


@torch.no_grad()
def _together(variant: Variant, device: str, dtype: torch.dtype) -> Quantities:
    own = IMPLEMENTATIONS[variant.backend]
    both = [
        gate.model_and_batches(variant, own, dtype, "cpu", seed, gate.BATCHES) for seed in SEEDS
    ]
    parameters = Parameters([model for model, _ in both], device)  # type: ignore[misc]
    ensemble = ensemble_model(parameters, variant)
    stream = [(x.to(device), y.to(device)) for x, y in both[0][1]]
    found: list[Quantities] = [{} for _ in SEEDS]
    for step, batch in enumerate(prepare(stream, ensemble.layout, seeds=len(SEEDS), dtype=dtype)):
        ensemble.train(batch)
        for index, its in enumerate(found):
            gradients = parameters.gradients.items()
            named = {f"gradient {step} of {name}": each[index] for name, each in gradients}
            named[f"scores {step}"] = by_row(ensemble.scores[index], len(stream[0][0]))
            its.update(gate.on_cpu(named))
    ensemble.store(gate.BATCHES)
    for its, model in zip(found, parameters.models, strict=True):
        buffers = {n: each for n, each in model.named_buffers() if each.is_floating_point()}
        its.update(gate.on_cpu(buffers))
    return _by_seed(found)


def by_row(scores: Tensor, rows: int) -> Tensor:
    """Return time-major scores, (steps * rows, V), as (rows, steps, V); of one step, (rows, V)."""
    by_step = scores.view(-1, rows, scores.shape[-1])
    return by_step[0] if len(by_step) == 1 else by_step.transpose(0, 1)


def _by_seed(found: list[Quantities]) -> Quantities:
    return {
        f"{name.replace(' rnn.', ' ')} of seed {seed}": values
        for seed, its in zip(SEEDS, found, strict=True)
        for name, values in its.items()
    }
