"""Depth, backend or seed variance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hnrnn import published
from reports.runs.attribution import attribute

BACKENDS = ("nn", "cell", "custom")


def grid(means: dict[str, float], spread: float = 0.01, seeds: int = 30) -> pd.DataFrame:
    """Return runs of three models whose accuracies have these means, the same on all backends."""
    generator = np.random.default_rng(3)
    rows = []
    for model, mean in means.items():
        values = generator.standard_normal(seeds)
        values = mean + spread * (values - values.mean()) / values.std(ddof=1)
        rows += [
            {"variant": model, "backend": backend, "seed": seed, "accuracy": value}
            for backend in BACKENDS
            for seed, value in enumerate(values)
        ]
    return pd.DataFrame(rows)


def test_all_depth() -> None:
    """If one layer less costs 5 points on every backend, depth explains 5 and the backend none."""
    found = attribute(grid({"Model5": 0.80, "Model6": 0.75, "Model7": 0.75}), published.tables())
    assert found is not None
    assert found.seeds == 30
    for estimate in found.depth.values():
        assert estimate.mean == pytest.approx(0.05)
        assert estimate.low < 0.05 < estimate.high
        assert estimate.high - estimate.low < 0.02
    assert all(estimate.mean == 0 for estimate in found.backend.values())
    assert set(found.identical.values()) == {1.0}
    by_models = {(pair.first, pair.second): pair for pair in found.pairs}
    pair = by_models["Model5", "Model6"]
    assert pair.notebook == pytest.approx(0.0601, abs=1e-4)
    assert pair.depth == pytest.approx(0.05)
    assert pair.seed_variance == pytest.approx(pair.notebook - 0.05)
    assert pair.seed_deviation == pytest.approx(0.01 * 2**0.5)
    assert by_models["Model6", "Model7"].depth == 0


def test_all_backend() -> None:
    """A backend that costs 3 points is found in the column of backends, not in depth."""
    runs = grid({"Model5": 0.8, "Model6": 0.8, "Model7": 0.8})
    runs.loc[runs["backend"] == "custom", "accuracy"] -= 0.03
    found = attribute(runs, published.tables())
    assert found is not None
    assert found.depth["nn"].mean == pytest.approx(0)
    assert found.backend["Model7", "custom"].mean == pytest.approx(-0.03)
    assert found.backend["Model7", "cell"].mean == 0
    assert found.identical["Model7", "custom"] == 0
    pair = found.pairs[1]
    assert (pair.first, pair.second) == ("Model5", "Model7")
    assert pair.backend == pytest.approx(0.03)
    assert pair.seed_variance == pytest.approx(pair.notebook - 0.03)


def test_share_as_far() -> None:
    """No pair of seeds differs by as much as a gap far beyond our spread; many do within it."""
    means = {"Model5": 0.8, "Model6": 0.9, "Model7": 0.8}
    for spread, least, most in ((0.001, 0.0, 0.0), (1.0, 0.8, 1.0)):
        found = attribute(grid(means, spread), published.tables())
        assert found is not None
        assert least <= found.pairs[0].share_as_far <= most


def test_most_seeds_decide() -> None:
    """Depth and seed variance are measured on the backend with the most seeds."""
    means = {"Model5": 0.8, "Model6": 0.75, "Model7": 0.75}
    few, many = grid(means, seeds=2), grid(means, seeds=200)
    ensemble = many[many["backend"] == "nn"].assign(backend="ensemble")
    found = attribute(pd.concat([few, ensemble]), published.tables())
    assert found is not None
    assert (found.base, found.seeds, found.depth[found.base].seeds) == ("ensemble", 2, 200)
    (pair, *_) = found.pairs
    assert pair.depth == pytest.approx(0.05)
    assert pair.seed_deviation == pytest.approx(0.01 * 2**0.5)
    assert pair.share_as_far > 0


def test_too_little() -> None:
    """With one seed per configuration, or a configuration missing, nothing is attributed."""
    runs = grid({"Model5": 0.8, "Model6": 0.8, "Model7": 0.8}, seeds=2)
    assert attribute(runs, published.tables()) is not None
    assert attribute(runs[runs["seed"] == 0], published.tables()) is None
    assert attribute(runs[runs["backend"] != "cell"], published.tables()) is None
    assert attribute(runs.iloc[:0], published.tables()) is None
