"""The parts of an ensemble that a training on a CPU does not test."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from bench.ensemble.batches import Batch, Layout, prepare
from bench.ensemble.chunks import chunk_size, split
from bench.ensemble.models import ensemble_model
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters, trained_parameters
from bench.ensemble.projection import one_hot_sums, sum_by_token
from bench.ensemble.stepping import CapturedStep, stepper
from hnrnn.models import Model
from hnrnn.optimizer import one_cycle
from hnrnn.stream import language_model_data
from hnrnn.variants import VARIANTS
from hnrnn.weights import initial_model


def models(name: str, seeds: int = 2) -> list[Model]:
    """Return models of seeds from 0 in float64."""
    return [initial_model(name, seed).double() for seed in range(seeds)]


def batches(layout: Layout, bptt: int, count: int = 3) -> list[Batch]:
    """Return the first batches of the training stream for two seeds in float64."""
    dls = language_model_data(bptt)
    return prepare(list(dls.train)[:count], layout, seeds=2, dtype=torch.float64)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_autograd_s(name: str) -> None:
    """Every parameter's gradient, after two batches, is what autograd gives each seed alone."""
    variant, alone = VARIANTS[name], models(name)
    parameters = Parameters(models(name))
    ensemble = ensemble_model(parameters, variant)
    prepared = batches(ensemble.layout, variant.bptt, 2)
    losses = [ensemble.train(batch) for batch in prepared][-1]
    for index, model in enumerate(alone):
        for x, y in list(language_model_data(variant.bptt).train)[:2]:
            model.zero_grad()
            scores = model(x)
            targets = y if variant.target == "every" else y[:, -1]
            loss = torch.nn.functional.cross_entropy(scores.flatten(0, -2), targets.flatten())
            loss.backward()
        torch.testing.assert_close(losses[index], loss.detach(), rtol=1e-12, atol=0)
        for key, parameter in trained_parameters(model).items():
            found = parameters.gradients[key][index]
            torch.testing.assert_close(found, parameter.grad, rtol=0, atol=1e-13, msg=key)


def test_unused_parameters_are_not_trained() -> None:
    """The unused GRU of ``Model6`` is not part of the parameters; all else is."""
    own = {id(parameter) for parameter in trained_parameters(initial_model("Model6", 0)).values()}
    model = initial_model("Model6", 0)
    names = {name for name, _ in model.named_parameters()}
    trained = {id(parameter) for parameter in trained_parameters(model).values()}
    found = {name for name, parameter in model.named_parameters() if id(parameter) in trained}
    assert names - found == {name for name in names if name.startswith("rnn.")}
    assert len(own) == len(found)


def test_sums_by_token_agree() -> None:
    """The sums of a GPU, a product, are those of a CPU, a scatter."""
    (batch,) = batches(Layout(40, 20, last_only=False, first_bypasses=False), 20, 1)
    gradient = torch.randn(2, 64 * 20, 7, dtype=torch.float64)
    torch.testing.assert_close(one_hot_sums(gradient, batch), sum_by_token(gradient, batch))


def test_adamw_is_torch_s() -> None:
    """Weights are updated as by torch's ``AdamW`` with the schedule's rate and momentum."""
    variant = VARIANTS["Model4"]
    parameters = Parameters(models("Model4"))
    weight = torch.nn.Parameter(parameters.flat_weights.clone())
    reference = torch.optim.AdamW([weight], betas=(0.95, 0.99), eps=1e-8, weight_decay=0.01)
    optimizer = AdamW(parameters)
    rate = one_cycle(800, 0.3, 3e-3 / 25, 3e-3, 3e-3 / 25e4)
    momentum = one_cycle(800, 0.3, 0.95, 0.85, 0.95)
    generator = torch.Generator().manual_seed(0)
    for step, row in enumerate(factors_of_steps(variant, 40, 5, parameters.flat_weights)):
        gradient = torch.randn(weight.shape, generator=generator, dtype=torch.float64)
        parameters.flat_gradients.copy_(gradient)
        weight.grad = gradient
        reference.param_groups[0] |= {"lr": rate(step), "betas": (momentum(step), 0.99)}
        reference.step()
        optimizer.step(row)
    torch.testing.assert_close(parameters.flat_weights, weight.detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["Model0", "Model3", "Model5"])
def test_the_step_over_fixed_tensors_is_the_step(name: str) -> None:
    """The step that a GPU captures updates the weights like the plain step, for any batch."""
    variant, weights = VARIANTS[name], []
    for captured in (False, True):
        parameters = Parameters(models(name))
        ensemble = ensemble_model(parameters, variant)
        step = stepper(ensemble, AdamW(parameters))
        if captured:
            step = CapturedStep(step)
        rows = factors_of_steps(variant, 40, 3, parameters.flat_weights)
        for batch, row in zip(batches(ensemble.layout, variant.bptt), rows, strict=True):
            step(batch, row)
        weights.append(parameters.flat_weights)
    assert torch.equal(*weights)


class Here(TorchDispatchMode):
    """Raises where an operation has a tensor that is not on the meta device."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves((args, kwargs, result)):
            assert not isinstance(value, Tensor) or value.is_meta, f"{func} on {value.device}"
        return result


@pytest.mark.parametrize("name", VARIANTS)
def test_a_step_stays_on_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and validation neither ask the device for a value nor bring tensors from elsewhere.

    On a GPU either would be a wait, or cannot be captured. The meta device has no values to give.
    """
    monkeypatch.setattr("bench.ensemble.models.sum_by_token", one_hot_sums)
    monkeypatch.setattr("bench.ensemble.elman.sum_by_token", one_hot_sums)
    monkeypatch.setattr("bench.ensemble.gru.sum_by_token", one_hot_sums)
    variant = VARIANTS[name]
    parameters = Parameters(models(name), "meta")
    ensemble = ensemble_model(parameters, variant)
    optimizer = AdamW(parameters)
    (row,) = factors_of_steps(variant, 40, 1, parameters.flat_weights)
    (batch,) = batches(ensemble.layout, variant.bptt, 1)
    batch = Batch(*(getattr(batch, field.name).to("meta") for field in fields(batch)))
    with Here():
        losses = [ensemble.train(batch)]
        optimizer.step(row)
        losses += ensemble.validate(batch)
    assert [loss.shape for loss in losses] == [(2,)] * 3


def test_time_major_batches() -> None:
    """Tokens, targets and table rows of a batch are time-major, with one table per seed."""
    x, y = torch.tensor([[1, 2, 3], [4, 0, 1]]), torch.tensor([[2, 3, 4], [0, 1, 2]])
    every = Layout(5, 3, last_only=False, first_bypasses=False)
    (batch,) = prepare([(x, y)], every, seeds=2, dtype=torch.float32)
    assert batch.rows.tolist() == [1, 4, 2, 0, 3, 1, 6, 9, 7, 5, 8, 6]
    assert batch.targets.tolist() == [2, 0, 3, 1, 4, 2]
    assert rows_of(batch.tokens.t()) == [1, 4, 2, 0, 3, 1]
    assert rows_of(batch.targets_one_hot) == [2, 0, 3, 1, 4, 2]
    last = Layout(5, 2, last_only=True, first_bypasses=True)
    (batch,) = prepare([(x, y)], last, seeds=1, dtype=torch.float32)
    assert batch.rows.tolist() == [6, 9, 2, 0]
    assert batch.targets.tolist() == [4, 2]


def rows_of(one_hot: Tensor) -> list[int]:
    """Return the position of the only 1 in each row."""
    assert torch.equal(one_hot.sum(1), torch.ones(len(one_hot)))
    return one_hot.argmax(1).tolist()


def test_split() -> None:
    """Seeds are split in order, into the smallest number of even chunks."""
    assert split(list(range(10)), 4) == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert split([5], 4) == [[5]]
    assert split([], 4) == []


@pytest.mark.parametrize(("workers", "free"), [(1, 80), (2, 80), (4, 80), (4, 15)])
def test_workers_share_a_gpu(workers: int, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many start at once, together they take no more than half of the memory."""
    cuda, share = torch.device("cuda"), 1 / workers
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 1.0)
    alone = chunk_size(VARIANTS["Model5"], "float32", cuda)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: share)
    together = workers * chunk_size(VARIANTS["Model5"], "float32", cuda)
    assert together <= alone * max(1, 80 / free)
    assert together >= alone - workers


@pytest.mark.parametrize("name", VARIANTS)
def test_chunk_size(name: str) -> None:
    """A CPU trains few seeds at once; float64 no more than float32."""
    sizes = [
        chunk_size(VARIANTS[name], dtype, torch.device("cpu")) for dtype in ("float32", "float64")
    ]
    assert 2 <= sizes[1] <= sizes[0] <= 64
