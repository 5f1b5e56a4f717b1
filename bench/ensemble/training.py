"""The training of many seeds of one variant as one batched computation.

For each seed it does what ``hnrnn.training.fit`` does, and rounds sums differently.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.ensemble.batches import Batch, prepare
from bench.ensemble.chunks import chunk_size, split
from bench.ensemble.models import EnsembleModel, ensemble_model
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters
from bench.ensemble.stepping import stepper
from hnrnn.metrics import SmoothedLoss, history_table
from hnrnn.models import Model
from hnrnn.settings import pinned_settings
from hnrnn.stream import language_model_data
from hnrnn.training import Training, check_arguments
from hnrnn.variants import Variant, find_variant
from hnrnn.weights import DTYPES, initial_model, set_weights, weights_sha256

Floats = npt.NDArray[np.float64]


@pinned_settings()
def fit_many(
    variant: str | Variant,
    *,
    seeds: Sequence[int],
    dtype: str = "float32",
    device: str | torch.device = "cpu",
    initialisation: str = "ones",
    initial_weights: Mapping[int, Mapping[str, Any]] | None = None,
    epochs: int | None = None,
    largest_chunk: int | None = None,
) -> list[Training]:
    """Train every seed by the variant's recipe and return the trainings, in the order of ``seeds``.

    Each training is what ``hnrnn.training.fit`` returns for the seed, with its model on the CPU and
    its share of the chunk's seconds; on a GPU the first pass includes compiling and capturing. At
    most ``largest_chunk`` seeds, by default ``chunk_size``, are trained at once.
    ``initial_weights`` are given by seed; the other arguments are those of ``fit``.

    Raises ValueError for an argument that ``fit`` would refuse.
    """
    variant = find_variant(variant)
    check_arguments(variant, dtype, epochs)
    if largest_chunk is not None and largest_chunk < 1:
        raise ValueError(f"largest_chunk must be 1 or more, not {largest_chunk}")
    initial_weights = initial_weights or {}
    if unknown := sorted(set(initial_weights) - set(seeds)):
        raise ValueError(f"initial_weights of seeds {unknown} that are not trained")
    device = torch.device(device)
    trainings: list[Training] = []
    size = largest_chunk or chunk_size(variant, dtype, device)
    for chunk in split(seeds, size):
        # A product of one matrix is rounded differently from a batched one. So a single seed is
        # trained twice, and on a CPU its weights are the same in chunks of any size. On a GPU they
        # may depend on the size.
        models = []
        for seed in chunk if len(chunk) > 1 else [*chunk, *chunk]:
            model = initial_model(variant, seed, initialisation=initialisation)
            model = model.to(dtype=DTYPES[dtype])
            set_weights(model, initial_weights.get(seed, {}))
            models.append(model)
        trainings += _fit_chunk(variant, chunk, models, epochs or variant.epochs, device)
    return trainings


@torch.no_grad()
def _fit_chunk(
    variant: Variant,
    seeds: Sequence[int],
    models: Sequence[Model],
    epochs: int,
    device: torch.device,
) -> list[Training]:
    """Train the models, and return the trainings of ``seeds``, which are the first models."""
    hashes = [weights_sha256(model) for model in models]
    parameters = Parameters(models, device)
    like = parameters.flat_weights
    dls = language_model_data(variant.bptt, models[0].batch_size, like.device)
    ensemble = ensemble_model(parameters, variant)
    train, valid = (
        prepare(stream, ensemble.layout, seeds=len(models), dtype=like.dtype)
        for stream in (dls.train, dls.valid)
    )
    step = stepper(ensemble, AdamW(parameters))
    factors = factors_of_steps(variant, len(train), epochs * len(train), like).unbind(0)
    smoothed = SmoothedLoss()
    rows: list[list[dict[str, float]]] = [[] for _ in seeds]
    for epoch in range(epochs):
        start = time.perf_counter()
        steps = factors[epoch * len(train) : (epoch + 1) * len(train)]
        losses = torch.stack([step(*both) for both in zip(train, steps, strict=True)])
        train_loss = smoothed.after_each(losses)[-1]
        trained = time.perf_counter()
        valid_loss, accuracy = _validate(ensemble, valid)
        validated = time.perf_counter()
        for index, its_rows in enumerate(rows):
            its_rows.append(
                {
                    "epoch": epoch,
                    "train_loss": float(train_loss[index]),
                    "valid_loss": float(valid_loss[index]),
                    "accuracy": float(accuracy[index]),
                    "train_seconds": (trained - start) / len(seeds),
                    "valid_seconds": (validated - trained) / len(seeds),
                }
            )
    ensemble.store(epochs * len(train))
    tokens = len(train) * dls.train.bs * dls.train.bptt
    return [
        Training(variant, seed, history_table(its_rows), tokens, digest, model)
        for seed, its_rows, digest, model in zip(seeds, rows, hashes, models, strict=False)
    ]


def _validate(ensemble: EnsembleModel, batches: Sequence[Batch]) -> tuple[Floats, Floats]:
    """Return each seed's validation loss and accuracy, (S,); all batches have equally many rows."""
    losses, correct = zip(*(ensemble.validate(batch) for batch in batches), strict=True)
    targets = sum(len(batch.targets) for batch in batches)
    valid_loss: Floats = torch.stack(losses).double().mean(0).cpu().numpy()
    return valid_loss, torch.stack(correct).sum(0).cpu().numpy() / targets
