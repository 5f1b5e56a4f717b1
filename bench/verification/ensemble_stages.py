"""What the parts of an ensemble do at each stage, by the names of ``bench.verification.recording``.

A mode, the output of a layer and the optimizer's settings cannot be seen in an ensemble.
"""

from __future__ import annotations

import torch

from bench.ensemble.batches import prepare
from bench.ensemble.models import EveryToken, ensemble_model
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters
from bench.execution.ensemble_parity import by_row
from bench.execution.environment import reproducible_settings
from bench.verification.recording import (
    SEED,
    STEPS_IN_DETAIL,
    Trace,
    hash_of,
    statistics_of,
    summary,
)
from hnrnn.stream import language_model_data
from hnrnn.variants import VARIANTS
from hnrnn.weights import DTYPES, initial_model, weights_sha256


@torch.no_grad()
@reproducible_settings()
def record_ensemble(name: str, dtype: str, device: str) -> Trace:
    """Train one epoch of ``SEED`` in the order of ``bench.ensemble.training``; return its trace."""
    variant = VARIANTS[name]
    # Twice, as ``fit_many`` does: a product of one matrix is rounded differently.
    models = [initial_model(variant, SEED).to(dtype=DTYPES[dtype]) for _ in range(2)]
    trace: Trace = {"start: weights at the start": weights_sha256(models[0])}
    parameters = Parameters(models, device)
    ensemble, optimizer = ensemble_model(parameters, variant), AdamW(parameters)
    dls = language_model_data(variant.bptt, models[0].batch_size, device)
    train, valid = (
        prepare(stream, ensemble.layout, seeds=2, dtype=DTYPES[dtype])
        for stream in (dls.train, dls.valid)
    )
    rows = factors_of_steps(variant, len(train), len(train), parameters.flat_weights)
    for step, (both, batch, factors) in enumerate(zip(dls.train, train, rows, strict=True)):
        moment = f"step {step}"
        trace[f"{moment}: batch"] = hash_of(*both)
        if step < STEPS_IN_DETAIL and isinstance(ensemble, EveryToken) and ensemble.keeps_state:
            trace[f"{moment}: state"] = summary(states_of(ensemble))
        loss = ensemble.train(batch)[0]
        if step < STEPS_IN_DETAIL:
            trace[f"{moment}: scores"] = summary(by_row(ensemble.scores[0], len(both[0])))
            of_seed = parameters.running_mean[0], parameters.running_variance[0]
            trace[f"{moment}: statistics"] = statistics_of(*of_seed)
            for key, gradient in parameters.gradients.items():
                trace[f"{moment}: gradient of {key}"] = summary(gradient[0])
        optimizer.step(factors)
        _, added, step_size, _ = factors.tolist()
        trace[f"{moment}: loss"] = [float(loss)]
        trace[f"{moment}: learning rate"] = [-step_size * (1 - (1 - added) ** (step + 1))]
        trace[f"{moment}: momentum"] = [1 - added]
        if step < STEPS_IN_DETAIL:
            for key, weights in parameters.weights.items():
                trace[f"{moment}: weights after of {key}"] = summary(weights[0])
    correct = 0
    for number, batch in enumerate(valid):
        losses, right = ensemble.validate(batch)
        trace[f"validation batch {number}: loss"] = [float(losses[0])]
        correct += int(right[0])
    trace["validation: accuracy"] = [correct / sum(len(batch.targets) for batch in valid)]
    return trace


def states_of(ensemble: EveryToken) -> torch.Tensor:
    """Return the first seed's hidden states that the next batch starts from, (layers, bs, h)."""
    return torch.stack([layer.state_steps[0][0] for layer in ensemble.layers])
