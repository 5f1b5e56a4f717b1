"""AdamW and the one-cycle schedule, with the settings of fastai 1.0.61."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import torch

from hnrnn.variants import Variant

BETAS = (0.95, 0.99)
EPS = 1e-8
WEIGHT_DECAY = 0.01
MOMENTA = (BETAS[0], 0.85, BETAS[0])
"""In one cycle the momentum (AdamW's first beta) falls, and rises again."""
FIRST_MOMENTUM = 0.9
"""The momentum of a training without a schedule."""

adamw = partial(torch.optim.AdamW, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY)
"""Takes parameters and ``lr``. Every parameter decays, BatchNorm and biases too, as in v1."""


def adamw_factors(
    step: int, learning_rate: float, momentum: float
) -> tuple[float, float, float, float]:
    """Return the factors of AdamW's update that change from step to step.

    They are: the share of each weight that remains after the decay, the share of the new gradient
    in the running mean, the step size, and the square root of the second bias correction. Steps
    are counted from 1. Source: Loshchilov and Hutter 2019, in the order of torch's ``AdamW``.
    """
    return (
        1 - learning_rate * WEIGHT_DECAY,
        1 - momentum,
        learning_rate / (1 - momentum**step),
        (1 - BETAS[1] ** step) ** 0.5,
    )


def one_cycle(
    steps: int, pct_start: float, start: float, middle: float, end: float
) -> Callable[[int], float]:
    """Return the value at a step: a cosine from ``start`` to ``middle``, then one to ``end``.

    The first phase takes ``int(steps * pct_start)`` of the ``steps``, as in fastai 1.0.61's
    ``OneCycleScheduler``.
    """
    rising = int(steps * pct_start)

    def value(step: int) -> float:
        if step <= rising and rising > 0:
            return _cosine(start, middle, step / rising)
        return _cosine(middle, end, (step - rising) / (steps - rising))

    return value


def _cosine(start: float, end: float, position: float) -> float:
    return end + (start - end) / 2 * (math.cos(math.pi * position) + 1)


def schedules(
    variant: Variant,
    batches: int,
    *,
    div: float = 25.0,
    div_final: float = 25e4,
    momenta: tuple[float, float, float] = MOMENTA,
) -> Mapping[str, Callable[[int], float]]:
    """Return the recipe's learning rate, ``lr``, and momentum, ``mom``, as functions of the step.

    Steps are counted from 0; an epoch has ``batches`` of them. The rate starts at the recipe's
    divided by ``div`` and ends at the recipe's divided by ``div_final``.
    """
    steps, peak = variant.epochs * batches, variant.learning_rate
    return {
        "lr": one_cycle(steps, variant.pct_start, peak / div, peak, peak / div_final),
        "mom": one_cycle(steps, variant.pct_start, *momenta),
    }
