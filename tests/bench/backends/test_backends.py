"""Every backend computes the same thing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.backends import IMPLEMENTATIONS
from bench.backends.cuda_graph import CudaGraph
from bench.backends.custom_hoisted import HoistedFullyConnected
from bench.backends.graphed import Graphed
from bench.backends.hoisted_layers import elman_layer, gru_layer
from bench.backends.recurrence import (
    ConvertedModel,
    canonical_parameters,
    load_weights,
    model_weights,
)
from bench.execution.fitting import GraphedTraining
from bench.execution.parity import (
    Sizes,
    float32_differences,
    float64_differences,
    model_quantities,
    recurrence_quantities,
)
from bench.execution.runner import execute
from bench.store.records import FAILED
from hnrnn.training import fit
from hnrnn.variants import VARIANTS, Recurrence
from hnrnn.weights import initial_model
from tests.conftest import small_run

NN, CUSTOM = IMPLEMENTATIONS["nn"], IMPLEMENTATIONS["custom"]
# What a graph is captured of is tried without one: the code is the same.
EAGER = [name for name in IMPLEMENTATIONS if name not in ("nn", "compiled")]
RECURRENT = [name for name, variant in VARIANTS.items() if variant.recurrence != "relu"]
FULLY_CONNECTED = [name for name in VARIANTS if name not in RECURRENT]


def failures(
    kind: Recurrence, backend: str, sizes: Sizes, seed: int, *, float32: bool = True
) -> list[str]:
    """Return what the gate finds wrong with a backend, in float64 and, if asked, in float32."""
    quantities = partial(recurrence_quantities, kind, sizes=sizes, device="cpu", seed=seed)
    implementation = IMPLEMENTATIONS[backend]
    reference = quantities(implementation=NN, dtype=torch.float64)
    with implementation.settings():
        double = quantities(implementation=implementation, dtype=torch.float64)
    differences = float64_differences(reference, double)
    if float32:
        rounded = quantities(implementation=NN, dtype=torch.float32)
        with implementation.settings():
            single = quantities(implementation=implementation, dtype=torch.float32)
        differences += float32_differences(reference, rounded, single)
    return [repr(difference) for difference in differences if not difference.passed]


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("kind", ["tanh", "gru"])
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.builds(
        Sizes,
        batch=st.integers(1, 9),
        time=st.integers(1, 12),
        inputs=st.integers(1, 9),
        hidden=st.integers(1, 9),
        layers=st.integers(1, 3),
    ),
    seed=st.integers(0, 1000),
)
def test_parity_at_random_sizes(kind: Recurrence, backend: str, sizes: Sizes, seed: int) -> None:
    """Outputs, final state and every gradient equal nn's, whatever the sizes.

    In float64: of a quantity with a value or two, nn's own float32 error, by which the gate
    measures, is now and then small by seed variance.
    """
    assert failures(kind, backend, sizes, seed, float32=False) == []


@pytest.mark.parametrize("backend", EAGER)
@pytest.mark.parametrize("kind", ["tanh", "gru"])
@pytest.mark.parametrize("sizes", [Sizes(), Sizes(layers=2), Sizes(batch=1, time=1), Sizes(time=1)])
def test_parity_at_the_notebooks_sizes(kind: Recurrence, backend: str, sizes: Sizes) -> None:
    """The notebook's sizes, and the smallest batch and length, in both dtypes."""
    assert failures(kind, backend, sizes, seed=0) == []


@pytest.mark.parametrize("backend", ["custom_hoisted", "graphed", "graphed_loop"])
@pytest.mark.parametrize("variant", FULLY_CONNECTED)
def test_parity_of_fully_connected_models(variant: str, backend: str) -> None:
    """Model0 to Model3 score alike, keep the same state and statistics; equal gradients."""
    quantities = partial(model_quantities, VARIANTS[variant], dtype=torch.float64, device="cpu")
    found = quantities(IMPLEMENTATIONS[backend])
    differences = float64_differences(quantities(CUSTOM), found)
    assert [repr(d) for d in differences if not d.passed] == []
    assert ("h" in found) == (variant == "Model3")


@pytest.mark.parametrize("time", [1, 2, 5])
@pytest.mark.parametrize("layer", ["gru", "tanh", "relu"])
def test_own_backward_is_the_derivative(layer: str, time: int) -> None:
    """The gradcheck of torch accepts the hand-written backward passes, for every argument."""
    generator = torch.Generator().manual_seed(time)
    rows = 12 if layer == "gru" else 4
    shapes = [(3, time, 2), (3, 4), (rows, 2), (rows, 4), (rows,), (rows,)]
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
        for shape in shapes
    ]
    if layer == "gru":
        assert torch.autograd.gradcheck(gru_layer, inputs)
    else:
        assert torch.autograd.gradcheck(
            lambda *tensors: elman_layer(*tensors, layer == "relu"), inputs
        )


def test_own_backward_without_gradient_of_the_input() -> None:
    """An input that needs no gradient gets none, and the weights theirs."""
    recurrence = IMPLEMENTATIONS["custom_hoisted"].recurrence("gru", (2, 3, 1))
    outputs, _ = recurrence(torch.ones(2, 4, 2), torch.zeros(1, 2, 3))
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in recurrence.parameters())


@pytest.mark.parametrize("backend", [*EAGER, "nn", "compiled"])
@pytest.mark.parametrize("name", RECURRENT)
def test_same_seed_same_weights(name: str, backend: str) -> None:
    """Every backend starts from the very weights that the variant's own model has."""
    variant, model = VARIANTS[name], initial_model(name, 7)
    weights = {key: weight.detach().clone() for key, weight in model_weights(model).items()}
    converted = IMPLEMENTATIONS[backend].convert(variant, model)
    if backend == variant.backend:
        assert converted is model
        return
    assert isinstance(converted, ConvertedModel)
    found = canonical_parameters(converted.rnn)
    assert list(found) == list(weights)
    assert all(torch.equal(found[key], weights[key]) for key in weights)
    layers = variant.num_layers
    assert len(found) == 4 * layers
    assert converted.h.shape == (layers, 64, 64)


def test_converted_models_have_no_unused_parameters() -> None:
    """Every parameter of a converted model, and of a hoisted one, takes part in the training."""
    for name, variant in VARIANTS.items():
        model = IMPLEMENTATIONS["custom_hoisted"].convert(variant, initial_model(name, 0))
        model(torch.zeros(64, variant.bptt, dtype=torch.long)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters()), name


def test_kept_state_refuses_another_batch_size() -> None:
    """Converted models, too, refuse a batch with another number of rows in one line."""
    for name in ("Model3", "Model5"):
        model = IMPLEMENTATIONS["custom_hoisted"].convert(VARIANTS[name], initial_model(name, 0))
        with pytest.raises(ValueError, match="x has 3 rows but the kept hidden state has 64"):
            model(torch.zeros(3, 20, dtype=torch.long))


def test_weights_that_do_not_fit() -> None:
    """Weights of another layout are refused, not broadcast."""
    recurrence = IMPLEMENTATIONS["custom"].recurrence("gru", (2, 3, 1))
    with pytest.raises(ValueError, match="do not fit a recurrence of"):
        load_weights(recurrence, {"weight_ih_l0": torch.zeros(9, 3)})
    with pytest.raises(TypeError, match="has no canonical weight"):
        canonical_parameters(torch.nn.Linear(2, 3))
    with pytest.raises(TypeError, match="Model1 has no recurrent module"):
        model_weights(initial_model("Model1", 0))


@cache
def curves(name: str, backend: str, epochs: int, dtype: str = "float64") -> np.ndarray:
    """Return losses and accuracy, epoch by epoch, of a variant trained on a backend."""
    implementation, variant = IMPLEMENTATIONS[backend], VARIANTS[name]
    with implementation.settings():
        training = fit(
            variant,
            seed=0,
            epochs=epochs,
            dtype=dtype,
            convert=partial(implementation.convert, variant),
            callbacks=[GraphedTraining()] if implementation.graphed else [],
        )
    return training.history[["train_loss", "valid_loss", "accuracy"]].to_numpy()


@pytest.mark.parametrize("backend", ["cell", "custom", "custom_hoisted", "graphed", "graphed_loop"])
@pytest.mark.parametrize(("name", "epochs"), [("Model4", 2), ("Model5", 1)])
def test_same_training_curve(name: str, epochs: int, backend: str) -> None:
    """A tanh RNN and two layers of GRU train to the same curve on every backend, in float64."""
    expected = curves(name, "nn", epochs)
    np.testing.assert_allclose(curves(name, backend, epochs), expected, atol=1e-7)


@pytest.mark.parametrize("name", ["Model1", "Model3"])
def test_same_training_curve_by_the_graphed_step(name: str) -> None:
    """The captured step trains like the Learner's own, with the kept state and the statistics."""
    np.testing.assert_allclose(curves(name, "graphed", 1), curves(name, "custom", 1), atol=1e-7)


def test_converted_model_trains_to_the_same_bits() -> None:
    """Model4 converted to its own kind of module trains to the same float32 values."""
    assert np.array_equal(
        curves("Model4", "nn_no_cudnn", 1, "float32"), curves("Model4", "nn", 1, "float32")
    )


def test_no_cudnn_is_restored_after_an_exception() -> None:
    """The backend turns cuDNN off, and on again even after an exception; no other flag changes."""
    flags = torch.backends.cudnn

    def state() -> tuple[bool, ...]:
        return (flags.enabled, flags.benchmark, flags.deterministic, flags.allow_tf32)

    @contextmanager
    def unusual() -> Iterator[None]:
        with flags.flags(enabled=True, benchmark=True, deterministic=True, allow_tf32=False):
            yield

    def fails() -> None:
        with IMPLEMENTATIONS["nn_no_cudnn"].settings():
            assert state() == (False, True, True, False)
            raise KeyError

    with unusual():
        with pytest.raises(KeyError):
            fails()
        assert state() == (True, True, True, False)


def test_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that cannot run says what it needs."""
    monkeypatch.setattr(torch, "__path__", ["/somewhere/torch"])
    for name in ("nn_no_cudnn", "graphed", "graphed_loop"):
        assert "needs a GPU" in str(IMPLEMENTATIONS[name].why_unavailable("cpu"))
        assert IMPLEMENTATIONS[name].why_unavailable("cuda") is None
    for name in ("nn", "cell", "custom", "custom_hoisted"):
        assert IMPLEMENTATIONS[name].why_unavailable("cpu") is None
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "needs the C++ compiler no-such-compiler" in str(
        IMPLEMENTATIONS["compiled"].why_unavailable("cpu")
    )


def test_nn_has_no_fully_connected_models() -> None:
    """A configuration outside the grid cannot be built."""
    with pytest.raises(NotImplementedError, match="nn does not execute Model0"):
        NN.convert(VARIANTS["Model0"], initial_model("Model0", 0))


def test_hoisted_model0_takes_short_and_long_rows() -> None:
    """Like Model0, it reads up to three tokens."""
    model = initial_model("Model0", 0).eval()
    hoisted = IMPLEMENTATIONS["custom_hoisted"].convert(VARIANTS["Model0"], model).eval()
    assert isinstance(hoisted, HoistedFullyConnected)
    for length in (1, 2, 3, 5):
        rows = torch.arange(2 * length).reshape(2, length)
        torch.testing.assert_close(hoisted(rows), model(rows))


@pytest.mark.parametrize(
    ("backend", "variant", "device", "kernel"),
    [
        ("nn", "Model4", "cpu", "ATen"),
        ("nn", "Model4", "cuda", "cuDNN"),
        ("nn_no_cudnn", "Model4", "cuda", "ATen"),
        ("cell", "Model4", "cuda", "Python loop over ATen"),
        ("compiled", "Model4", "cpu", "Inductor C++"),
        ("compiled", "Model4", "cuda", "Inductor Triton"),
        ("graphed", "Model4", "cuda", "CUDA graph over cuDNN"),
        ("graphed", "Model3", "cuda", "CUDA graph over ATen"),
        ("graphed_loop", "Model4", "cuda", "CUDA graph over ATen"),
    ],
)
def test_kernel(backend: str, variant: str, device: str, kernel: str) -> None:
    """The kernel is called what it is: nn.GRU on a CPU is not cuDNN."""
    assert IMPLEMENTATIONS[backend].kernel(VARIANTS[variant], device) == kernel


def test_graphed_fails_where_nothing_is_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training without a captured step fails on a graphed backend."""
    monkeypatch.setattr(Graphed, "why_unavailable", lambda *_: None)
    assert execute(small_run(backend="graphed")).outcome.error is None  # a CPU has no graphs
    monkeypatch.setattr(CudaGraph, "missing", property(lambda _: True))
    outcome = execute(small_run(backend="graphed")).outcome
    assert (outcome.status, outcome.kernel) == (FAILED, None)
    assert outcome.error == "NotCapturedError: no CUDA graph was captured in 40 training steps"
