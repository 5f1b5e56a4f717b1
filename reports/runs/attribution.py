"""Depth, backend or seed variance: why ``Model5``, ``Model6`` and ``Model7`` end apart.

The notebook runs a two-layer GRU on ``nn.GRU``, and a one-layer GRU on a ``GRUCell`` loop and on a
hand-written cell, once each: depth, backend and seed all differ. The grid runs every model on every
backend under many seeds, which separates them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bench.plan.grid import BACKENDS, NOTEBOOK_BACKENDS
from hnrnn.variants import VARIANTS

MODELS = ("Model5", "Model6", "Model7")
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean difference of final accuracies with its 95% t interval."""

    mean: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Pair:
    """Two models: the difference between the notebook's runs, and its parts.

    ``depth`` and ``backend`` are differences of means; ``seed_variance`` is the rest of
    ``notebook``. ``seed_deviation`` is the standard deviation of the difference between one run of
    each model. ``share_as_far`` is the share of all pairs of our runs whose difference is at least
    as far from the mean difference as the notebook's. Both are of each model's own backend, unless
    another has more seeds.
    """

    first: str
    second: str
    notebook: float
    depth: float
    backend: float
    seed_variance: float
    seed_deviation: float
    share_as_far: float


@dataclass(frozen=True)
class Attribution:
    """The effect of ``depth`` on each backend, and of each model's ``backend`` relative to nn.

    Depth compares two layers with one: ``Model5`` with ``Model6`` and ``Model7`` together.
    """

    depth: Mapping[str, Estimate]
    backend: Mapping[tuple[str, str], Estimate]
    identical: Mapping[tuple[str, str], float]
    """Share of seeds whose final accuracy is the same on the backend as on nn."""
    pairs: tuple[Pair, ...]
    seeds: int
    base: str = "nn"
    """The backend with the most seeds, on which the pairs' depth is measured."""


def attribute(final: pd.DataFrame, published: pd.DataFrame) -> Attribution | None:
    """Return the parts, or None if a model has fewer than two seeds on a notebook's backend.

    ``final`` has one row per run with ``variant, backend, seed, accuracy`` (after the last epoch);
    ``published`` is the notebook's table.
    """
    wide = final.pivot_table(index="seed", columns=["variant", "backend"], values="accuracy")
    grid = pd.MultiIndex.from_product([MODELS, BACKENDS])
    runs: dict[Any, pd.Series] = {
        key: values.dropna() for key, values in wide.reindex(columns=grid).items()
    }
    measured = [name for name in BACKENDS if all(len(runs[model, name]) > 1 for model in MODELS)]
    if not set(NOTEBOOK_BACKENDS) <= set(measured):
        return None
    base = max(measured, key=lambda name: min(len(runs[model, name]) for model in MODELS))
    depth = {}
    for backend in measured:
        two_layers, *one_layer = (runs[model, backend].to_numpy() for model in MODELS)
        depth[backend] = _difference(two_layers, np.concatenate(one_layer))
    backends, identical = {}, {}
    for model, backend in product(MODELS, measured[1:]):
        differences = (runs[model, backend] - runs[model, "nn"]).dropna().to_numpy()
        backends[model, backend] = _mean(differences)
        identical[model, backend] = float((differences == 0).mean())
    return Attribution(
        depth=depth,
        backend=backends,
        identical=identical,
        pairs=tuple(
            _pair((first, second), runs, base, depth[base].mean, backends, published)
            for first, second in combinations(MODELS, 2)
        ),
        seeds=min(len(runs[key]) for key in product(MODELS, NOTEBOOK_BACKENDS)),
        base=base,
    )


def _pair(
    models: tuple[str, str],
    runs: Mapping[tuple[str, str], pd.Series],
    base: str,
    depth: float,
    backends: Mapping[tuple[str, str], Estimate],
    published: pd.DataFrame,
) -> Pair:
    """Return the parts of a pair's difference; the second model has no more layers."""
    first, second = models
    last = published.sort_values("epoch").groupby("model")["accuracy"].last()
    notebook = float(last[first] - last[second])
    if VARIANTS[first].num_layers == VARIANTS[second].num_layers:
        depth = 0.0
    own = [(model, VARIANTS[model].backend) for model in models]
    # Each model's own difference between nn and the notebook's backend, seed by seed.
    steps = [backends[key].mean if key in backends else 0.0 for key in own]
    backend = steps[0] - steps[1]
    most = [max(key, (key[0], base), key=lambda at: len(runs[at])) for key in own]
    ours = [runs[key].to_numpy() for key in most]
    seed_variance = notebook - depth - backend
    differences = np.subtract.outer(*ours) - (ours[0].mean() - ours[1].mean())
    return Pair(
        first=first,
        second=second,
        notebook=notebook,
        depth=depth,
        backend=backend,
        seed_variance=seed_variance,
        seed_deviation=float(np.hypot(*(accuracy.std(ddof=1) for accuracy in ours))),
        share_as_far=float((np.abs(differences) >= abs(seed_variance)).mean()),
    )


def _difference(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> Estimate:
    """Return mean(a) - mean(b) with Welch's interval."""
    interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(LEVEL)
    mean = float(a.mean() - b.mean())
    return Estimate(mean, float(interval.low), float(interval.high), min(len(a), len(b)))


def _mean(differences: npt.NDArray[np.float64]) -> Estimate:
    """Return the mean of paired differences with Student's interval."""
    mean = float(differences.mean())
    if len(differences) < 2 or (differences == differences[0]).all():
        return Estimate(mean, mean, mean, len(differences))
    interval = stats.ttest_1samp(differences, 0).confidence_interval(LEVEL)
    return Estimate(mean, float(interval.low), float(interval.high), len(differences))
