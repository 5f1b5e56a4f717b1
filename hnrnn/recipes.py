"""How a learner's training differs from a variant's recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hnrnn.models import Model
from hnrnn.optimizer import WEIGHT_DECAY, schedules
from hnrnn.variants import Variant
from hnrnn.weights import initial_model

SIZES = ("vocab_size", "hidden_size", "batch_size", "num_layers")


def sizes_of(model: Model) -> dict[str, int]:
    """Return the sizes of a model by the names that ``build_model`` takes."""
    return {name: getattr(model, name) for name in SIZES}


def unlike_recipe(learn: Any, variant: Variant) -> list[str]:
    """Return what ``learn``, a fitted ``V1Learner``, does otherwise than a variant's recipe.

    There is one clause for each difference. Compared are the variant, the sizes of the model, the
    number of fits, and the hyperparameters at each step of the last one.
    """
    own = learn.variant
    if own.name != variant.name:
        return [f"it trains {own.name}"]
    recipe = {**sizes_of(initial_model(variant, 0)), "bptt": variant.bptt, "target": variant.target}
    found = {**learn.sizes, "bptt": own.bptt, "target": own.target}
    wrong = [
        f"its {name} is {found[name]}, not {expected}"
        for name, expected in recipe.items()
        if found[name] != expected
    ]
    if learn.fits > 1:
        wrong.append(f"it was fitted {learn.fits} times, so the last fit continues a training")
    if learn.n_epoch != variant.epochs:
        return [*wrong, f"it was fitted for {learn.n_epoch} epochs, not {variant.epochs}"]
    planned = schedules(variant, len(learn.dls.train))
    momenta = getattr(learn.recorder, "hps", {}).get("mom", [])
    if not _follow(learn.recorder.lrs, planned["lr"]):
        rate = f"{variant.epochs} epochs at {variant.learning_rate:g}"
        wrong.append(f"its learning rates are not those of the one-cycle schedule, {rate}")
    if not _follow(momenta, planned["mom"]):
        wrong.append("its momenta are not those of the one-cycle schedule")
    decay = learn.opt.hypers[0]["wd"] if learn.opt else WEIGHT_DECAY
    if decay != WEIGHT_DECAY:
        wrong.append(f"its weight decay is {decay:g}, not {WEIGHT_DECAY:g}")
    return wrong


def _follow(values: Sequence[float], planned: Callable[[int], float]) -> bool:
    """Whether the values of the steps so far are those that were planned."""
    return np.allclose(values, [planned(step) for step in range(len(values))], rtol=1e-9, atol=0)
