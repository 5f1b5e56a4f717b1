"""A GPU's kernels compared with the plain steps; on a CPU they are interpreted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.ensemble.batches import prepare
from bench.ensemble.gru import GRULayer
from bench.ensemble.in_place import IN_PLACE, Pointwise
from bench.ensemble.models import ensemble_model
from bench.ensemble.optimizer import AdamW, factors_of_steps
from bench.ensemble.parameters import Parameters
from hnrnn.stream import language_model_data
from hnrnn.variants import VARIANTS
from hnrnn.weights import initial_model

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NAME = "bench.ensemble.kernels"
STATE = (3, 5, 7, 64)
"""Seeds, steps, rows, features: a number of values that is no multiple of a block."""


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pointwise]:
    """Return the kernels, interpreted if there is no GPU."""
    if DEVICE == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
    pytest.importorskip("triton", reason="there is no Triton for this system")
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    from bench.ensemble.kernels import KERNELS

    yield KERNELS
    sys.modules.pop(NAME)


@pytest.fixture(params=[torch.float64, torch.float32], ids=str)
def generator(request: pytest.FixtureRequest) -> Iterator[None]:
    """Draw the tensors of a test in a dtype, on the device."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(dtype)


def parts_of(gates: Tensor) -> tuple[Tensor, ...]:
    """Return the parts of a step in the middle as ``GRULayer`` has them."""
    layer = GRULayer.__new__(GRULayer)
    layer.hidden = STATE[-1]
    return layer._parts(gates[:, 2])


def draw(*shape: int) -> Tensor:
    """Return a normal sample."""
    return torch.randn(*shape).to(DEVICE)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Allow each value a few roundings."""
    precision = torch.finfo(expected.dtype).eps
    torch.testing.assert_close(found, expected, rtol=16 * precision, atol=16 * precision)


@pytest.mark.usefixtures("generator")
def test_gru_forward(kernels: Pointwise) -> None:
    """Gates and state are those of the plain step, and nothing else is written."""
    gates, states = draw(*STATE[:-1], 4 * STATE[-1]), draw(*STATE)
    pairs = []
    for steps in (kernels, IN_PLACE):
        own_gates, own_states = gates.clone(), states.clone()
        steps.gru_forward(parts_of(own_gates), own_states[:, 1], own_states[:, 2])
        pairs.append((own_gates, own_states))
    for found, expected in zip(*pairs, strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.usefixtures("generator")
def test_gru_backward(kernels: Pointwise, *, first: bool) -> None:
    """All gradients are those of the plain step, of the first one too, which has none before it."""
    gates, d_gates = draw(*STATE[:-1], 4 * STATE[-1]).sigmoid(), draw(*STATE[:-1], 4 * STATE[-1])
    states, gradient = draw(*STATE), draw(*STATE)
    pairs = []
    for steps in (kernels, IN_PLACE):
        own, own_gradient = d_gates.clone(), gradient.clone()
        earlier = None if first else own_gradient[:, 1]
        steps.gru_backward(
            parts_of(gates),
            states[:, 1],
            own_gradient[:, 2],
            earlier,
            parts_of(own),
            torch.empty_like(states[:, 1]),
        )
        pairs.append((own, own_gradient))
    for found, expected in zip(*pairs, strict=True):
        assert_close(found, expected)
    assert torch.equal(pairs[0][1][:, 1], gradient[:, 1]) == first


@pytest.mark.usefixtures("generator")
def test_adamw(kernels: Pointwise) -> None:
    """Weights and means are updated as by the plain step."""
    tensors = [draw(3, 700), draw(3, 700), draw(3, 700), draw(3, 700).square()]
    factors = torch.tensor([0.97, 0.13, -0.02, 0.31]).to(DEVICE)
    ends = []
    for steps in (kernels, IN_PLACE):
        own = [tensor.clone() for tensor in tensors]
        steps.adamw(*own, factors, torch.empty_like(own[0]))
        ends.append(own)
    for found, expected in zip(*ends, strict=True):
        assert_close(found, expected)


@pytest.mark.slow
def test_training_steps(kernels: Pointwise, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, two training steps of a two-layer GRU move all weights as the plain steps do."""
    variant, ends = VARIANTS["Model5"], []
    for steps in (kernels, IN_PLACE):
        for user in ("gru", "optimizer"):
            monkeypatch.setattr(f"bench.ensemble.{user}.pointwise_for", lambda _, own=steps: own)
        models = [initial_model("Model5", seed).double() for seed in (0, 1)]
        parameters = Parameters(models, DEVICE)
        ensemble, optimizer = ensemble_model(parameters, variant), AdamW(parameters)
        stream = list(language_model_data(variant.bptt, device=DEVICE).train)[:2]
        batches = prepare(stream, ensemble.layout, seeds=2, dtype=torch.float64)
        rows = factors_of_steps(variant, 40, 2, parameters.flat_weights)
        for batch, row in zip(batches, rows, strict=True):
            ensemble.train(batch)
            optimizer.step(row)
        ends.append(parameters.flat_weights)
    assert not torch.equal(*ends)  # otherwise both were the plain steps
    torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


@pytest.mark.parametrize("strides", ["i32", "i64"])
@pytest.mark.parametrize("values", ["*fp32", "*fp64"])
def test_they_compile(
    values: str, strides: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kernel can be compiled for an H100, for which no GPU is needed."""
    pytest.importorskip("triton", reason="there is no Triton for this system")
    from triton import compiler
    from triton.backends.compiler import GPUTarget

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    from bench.ensemble.kernels import BLOCK, FP_FUSION, _adamw, _gru_backward, _gru_forward

    sizes = {"HIDDEN": 64, "BLOCK": BLOCK}
    cases = [
        (_gru_forward, sizes),
        (_gru_backward, {**sizes, "HAS_EARLIER": True}),
        (_gru_backward, {**sizes, "HAS_EARLIER": False}),
        (_adamw, {"KEPT": 0.99, "ADDED": 0.01, "EPS": 1e-5, "BLOCK": BLOCK}),
    ]
    for kernel, constants in cases:
        types = dict.fromkeys(kernel.arg_names, values) | dict.fromkeys(constants, "constexpr")
        for name in types:
            if name.endswith("_stride"):
                types[name] = strides
        source = compiler.ASTSource(kernel, types | {"size": "i32"}, constexprs=constants)
        options = {"enable_fp_fusion": FP_FUSION}
        built = compiler.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert built.asm["cubin"]
