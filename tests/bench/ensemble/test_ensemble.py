"""Many seeds trained at once give the same results as each one alone."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch

from bench.ensemble.training import fit_many
from hnrnn.training import Training, fit
from hnrnn.variants import VARIANTS, Variant
from hnrnn.weights import weights_sha256

CURVES = ["train_loss", "valid_loss", "accuracy"]
SLOWEST = ("Model5", "Model7")
"""Their second epoch would say what Model6's does."""
ROUNDING = 1e-11
"""Far above float64's rounding over two epochs, far below any other arithmetic."""


def curves(training: Training) -> np.ndarray:
    """Return the three curves, (epochs, 3)."""
    return training.history[CURVES].to_numpy()


def assert_same(found: Training, expected: Training, tolerance: float = ROUNDING) -> None:
    """Compare the curves, weights, statistics, hidden states and identities of two trainings."""
    assert (found.seed, found.variant) == (expected.seed, expected.variant)
    assert found.initial_weights_sha256 == expected.initial_weights_sha256
    assert found.train_tokens == expected.train_tokens
    assert list(found.history.columns) == list(expected.history.columns)
    assert list(found.history["epoch"]) == list(expected.history["epoch"])
    np.testing.assert_allclose(curves(found), curves(expected), rtol=0, atol=tolerance)
    assert type(found.model) is type(expected.model)
    state, its_state = found.model.state_dict(), expected.model.state_dict()
    assert list(state) == list(its_state)
    for name, tensor in its_state.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=tolerance, msg=name)
    for name, buffer in expected.model.named_buffers():
        found_buffer = found.model.get_buffer(name)
        torch.testing.assert_close(found_buffer, buffer, rtol=0, atol=tolerance, msg=name)


@pytest.mark.parametrize(
    "name", ["Model0", *(pytest.param(name, marks=pytest.mark.slow) for name in [*VARIANTS][1:])]
)
def test_a_seed_among_others_is_the_seed_alone(name: str) -> None:
    """In float64, short trainings of every variant end as ``fit``'s: curves, weights and state."""
    epochs = 1 if name in SLOWEST else 2
    many = fit_many(name, seeds=[4, 9], dtype="float64", epochs=epochs)
    assert [training.seed for training in many] == [4, 9]
    assert_same(many[1], fit(name, seed=9, dtype="float64", epochs=epochs))


@pytest.mark.parametrize(
    ("variant", "options"),
    [
        (VARIANTS["Model4"], {"initialisation": "uniform"}),
        (dataclasses.replace(VARIANTS["Model0"], bptt=5), {}),
        (dataclasses.replace(VARIANTS["Model3"], bptt=70, learning_rate=1e-3), {}),
    ],
)
def test_other_recipes_and_initialisation(variant: Variant, options: dict[str, Any]) -> None:
    """Another recipe and BatchNorm's older start are followed as ``fit`` follows them."""
    options = {"dtype": "float64", "epochs": 1} | options
    many = fit_many(variant, seeds=[1, 2], **options)
    assert_same(many[0], fit(variant, seed=1, **options))


def test_float32() -> None:
    """In float32 a first epoch is the same but for rounding, in the same dtype."""
    many = fit_many("Model6", seeds=[0, 1], epochs=1)
    assert_same(many[1], fit("Model6", seed=1, epochs=1), tolerance=2e-4)


@pytest.mark.parametrize("name", ["Model1", "Model3", "Model6"])
def test_others_in_the_chunk_do_not_matter(name: str) -> None:
    """A seed's weights have the same bits in any chunk, in any position, and alone."""
    digests = set()
    for seeds, size in (([7], 4), ([7, 3], 2), ([1, 2, 7], 3)):
        many = fit_many(name, seeds=seeds, epochs=1, largest_chunk=size)
        assert [training.seed for training in many] == seeds
        digests.add(weights_sha256(many[seeds.index(7)].model))
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["Model0", "Model2", "Model6"])
def test_a_diverged_seed_leaves_its_neighbours_alone(name: str) -> None:
    """A seed that starts from NaN ends in NaN, and does not change a bit of the others."""
    weights = {1: {"h_o.weight": np.full((40, 64), np.nan)}}
    healthy = fit_many(name, seeds=[0, 1, 2], epochs=1)
    beside = fit_many(name, seeds=[0, 1, 2], epochs=1, initial_weights=weights)
    assert np.isnan(curves(beside[1])[:, :2]).all()
    for index in (0, 2):
        assert np.array_equal(curves(beside[index]), curves(healthy[index]))
        digests = {weights_sha256(many[index].model) for many in (healthy, beside)}
        assert len(digests) == 1


def test_initial_weights_are_the_seed_s_own() -> None:
    """Weights given by seed replace that seed's, as in ``fit``, and no other's."""
    weights = {"h_o.bias": np.linspace(-1, 1, 40)}
    many = fit_many("Model4", seeds=[0, 1], dtype="float64", epochs=1, initial_weights={1: weights})
    assert_same(many[0], fit("Model4", seed=0, dtype="float64", epochs=1))
    alone = fit("Model4", seed=1, dtype="float64", epochs=1, initial_weights=weights)
    assert_same(many[1], alone)


def test_seconds_are_shared_out() -> None:
    """Each seed has an even share of its chunk's seconds, and every pass took some."""
    many = fit_many("Model4", seeds=[0, 1, 2], epochs=1)
    seconds = [training.history[["train_seconds", "valid_seconds"]] for training in many]
    assert (seconds[0] > 0).all(axis=None)
    assert seconds[0].equals(seconds[1])
    assert seconds[0].equals(seconds[2])


def test_a_lone_seed_s_seconds_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second copy of a single seed takes no share of its seconds."""
    ticks = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    (training,) = fit_many("Model4", seeds=[0], epochs=1)
    assert training.history[["train_seconds", "valid_seconds"]].to_numpy().tolist() == [[1, 1]]


def test_no_seeds() -> None:
    """No seeds give no trainings."""
    assert fit_many("Model4", seeds=[]) == []


def test_the_caller_s_random_state_stays() -> None:
    """Training does not use the caller's generator, and leaves gradients enabled."""
    state = torch.random.get_rng_state()
    fit_many("Model0", seeds=[0, 1], epochs=1)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"variant": "Model8"}, "unknown variant 'Model8'"),
        ({"seeds": [0, -1]}, "seed must be from 0"),
        ({"dtype": "float16"}, "unknown dtype 'float16': choose from float32, float64"),
        ({"epochs": 0}, "epochs must be from 1 to 20"),
        ({"initialisation": "zeros"}, "choose from ones, uniform"),
        ({"largest_chunk": 0}, "largest_chunk must be 1 or more"),
        ({"initial_weights": {0: {"no.such": [1.0]}}}, "no parameter 'no.such'"),
        ({"initial_weights": {3: {}}}, r"initial_weights of seeds \[3\] that are not trained"),
    ],
)
def test_errors(arguments: dict[str, Any], message: str) -> None:
    """A bad argument gives one line that says what would be valid, before anything is trained."""
    with pytest.raises(ValueError, match=message) as caught:
        fit_many(**({"variant": "Model4", "seeds": [0]} | arguments))
    assert "\n" not in str(caught.value)
