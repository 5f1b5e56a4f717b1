"""The parity gate: a backend is measured only if it computes the same as the reference.

The reference is ``nn`` (``custom`` for ``Model0`` to ``Model3``) on the CPU in float64. The gate
compares the outputs, the final hidden state, and the gradients of every parameter and of the input;
for a graphed training step also the weights after some steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from bench.backends import IMPLEMENTATIONS
from bench.backends.cuda_graph import WARM_UP_CALLS
from bench.backends.graphed import GraphedStep
from bench.backends.implementation import Implementation
from bench.backends.recurrence import canonical_parameters, load_weights
from bench.plan.grid import reference_backend
from hnrnn.metrics import LOSSES
from hnrnn.models import build_model
from hnrnn.optimizer import BETAS, adamw
from hnrnn.settings import pinned_settings, tf32_allowed
from hnrnn.variants import Recurrence, Variant

FLOAT64_BOUND = 1e-12
"""The largest allowed difference in float64, relative to the largest value (or to 1)."""
FLOAT32_FACTOR = 16
"""The largest allowed error in float32, in units of the reference's own error in float32."""
BATCHES = 2
"""The number of batches of a whole model; the second starts from the first one's final state."""
STEPS, LEARNING_RATE = WARM_UP_CALLS + 3, 1e-3

Quantities = dict[str, Tensor]
"""Tensors by name, in float64 on the CPU."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of a recurrence that is compared."""

    batch: int = 64
    time: int = 20
    inputs: int = 64
    hidden: int = 64
    layers: int = 1


@dataclass(frozen=True)
class Difference:
    """The difference of one quantity from the reference, and its bound.

    Both are relative to the reference's largest absolute value (or to 1, if that is larger).
    """

    quantity: str
    difference: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within its bound; NaN is not."""
        return self.difference <= self.bound


@dataclass(frozen=True)
class Parity:
    """The gate's result for a backend: the largest differences over all quantities."""

    float64: float
    float32: float
    tf32: float | None
    """The difference in float32 with TF32, for information only; None on a CPU."""
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every quantity is within its bound."""
        return not self.failures


def check(variant: Variant, backend: str, device: str) -> Parity:
    """Return the result of comparing a backend with the reference at the variant's sizes."""
    return check_implementation(variant, IMPLEMENTATIONS[backend], device)


@pinned_settings()
def check_implementation(variant: Variant, implementation: Implementation, device: str) -> Parity:
    """Do what ``check`` does, for an implementation that need not be one of the backends."""
    expected = partial(_variant_quantities, variant, reference_of(variant), device="cpu")
    found = partial(_variant_quantities, variant, implementation, device=device)
    reference = expected(torch.float64)
    with implementation.settings():
        exact = float64_differences(reference, found(torch.float64))
        if implementation.graphed:
            exact += float64_differences(
                trained_weights(variant, reference_of(variant), torch.float64, "cpu"),
                trained_weights(variant, implementation, torch.float64, device),
            )
        single = float32_differences(reference, expected(torch.float32), found(torch.float32))
        tf32 = None
        if device == "cuda":
            with tf32_allowed():
                tf32 = _largest(float64_differences(reference, found(torch.float32)))
    return parity_of(exact, single, tf32)


def parity_of(
    exact: list[Difference], single: list[Difference], tf32: float | None = None
) -> Parity:
    """Return the gate's result from the differences in float64 and in float32."""
    failures = tuple(
        f"{d.quantity} is {d.difference:.1e} from the reference in {dtype}, bound {d.bound:.1e}"
        for dtype, differences in (("float64", exact), ("float32", single))
        for d in differences
        if not d.passed
    )
    return Parity(_largest(exact), _largest(single), tf32, failures)


def float64_differences(reference: Quantities, found: Quantities) -> list[Difference]:
    """Return the difference of every quantity in float64, with its bound."""
    return _differences(reference, found, dict.fromkeys(reference, FLOAT64_BOUND))


def float32_differences(
    reference: Quantities, rounded: Quantities, found: Quantities
) -> list[Difference]:
    """Return the difference of every quantity in float32 from the reference in float64.

    The bound is ``FLOAT32_FACTOR`` times the error of ``rounded``, the reference backend's values
    in float32, or times the rounding unit of float32 if that is larger.
    """
    unit = torch.finfo(torch.float32).eps
    errors = {name: _difference(values, rounded[name]) for name, values in reference.items()}
    bounds = {name: FLOAT32_FACTOR * max(unit, error) for name, error in errors.items()}
    return _differences(reference, found, bounds)


def _differences(
    reference: Quantities, found: Quantities, bounds: Mapping[str, float]
) -> list[Difference]:
    if reference.keys() != found.keys():
        raise ValueError(f"expected {', '.join(reference)}; found {', '.join(found)}")
    return [
        Difference(name, _difference(values, found[name]), bounds[name])
        for name, values in reference.items()
    ]


def _largest(differences: list[Difference]) -> float:
    return float(torch.tensor([d.difference for d in differences]).max())  # NaN stays NaN


def _difference(reference: Tensor, found: Tensor) -> float:
    scale = max(1.0, float(reference.abs().max()))
    return float((reference - found).abs().max()) / scale


def reference_of(variant: Variant) -> Implementation:
    """Return the implementation that the others are compared with."""
    return IMPLEMENTATIONS[reference_backend(variant)]


def _variant_quantities(
    variant: Variant, implementation: Implementation, dtype: torch.dtype, device: str
) -> Quantities:
    if variant.recurrence == "relu":
        return model_quantities(variant, implementation, dtype, device)
    sizes = Sizes(time=variant.bptt, layers=variant.num_layers)
    return recurrence_quantities(variant.recurrence, implementation, sizes, dtype, device)


def recurrence_quantities(
    kind: Recurrence,
    implementation: Implementation,
    sizes: Sizes,
    dtype: torch.dtype,
    device: str,
    seed: int = 0,
) -> Quantities:
    """Return the outputs, final state and all gradients of a recurrence.

    Its weights, inputs and gradients depend on ``seed`` only, on no dtype or device.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.float().to(device=device, dtype=dtype)  # exact in both dtypes

    shape = (sizes.inputs, sizes.hidden, sizes.layers)
    spread = sizes.hidden**-0.5
    canonical = canonical_parameters(IMPLEMENTATIONS["nn"].recurrence(kind, shape))
    weights = {name: spread * draw(*weight.shape) for name, weight in canonical.items()}
    x = draw(sizes.batch, sizes.time, sizes.inputs).requires_grad_()
    h = (spread * draw(sizes.layers, sizes.batch, sizes.hidden)).requires_grad_()
    toward = draw(sizes.batch, sizes.time, sizes.hidden), draw(*h.shape)

    recurrence = implementation.recurrence(kind, shape)
    load_weights(recurrence, weights)
    results = recurrence(x, h)
    named = {"x": x, "h": h, **canonical_parameters(recurrence)}
    gradients = torch.autograd.grad(
        results, list(named.values()), toward, allow_unused=True, materialize_grads=True
    )
    found = dict(zip(("outputs", "final h"), results, strict=True))
    for name, gradient in zip(named, gradients, strict=True):
        found[f"gradient of {name}"] = gradient
    return on_cpu(found)


def model_quantities(
    variant: Variant,
    implementation: Implementation,
    dtype: torch.dtype,
    device: str,
    seed: int = 0,
    **sizes: int,
) -> Quantities:
    """Return the scores, kept state, running statistics and all gradients of a whole model.

    ``seed`` determines the weights; the batches are always the same.
    """
    model, batches = model_and_batches(
        variant, implementation, dtype, device, seed, BATCHES, **sizes
    )
    found: Quantities = {}
    for step, (x, y) in enumerate(batches):
        scores = model(x)
        parameters = dict(model.named_parameters())
        gradients = torch.autograd.grad(LOSSES[variant.loss](scores, y), list(parameters.values()))
        found[f"scores {step}"] = scores
        for name, gradient in zip(parameters, gradients, strict=True):
            found[f"gradient {step} of {name}"] = gradient
    found |= {name: buffer for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    return on_cpu(found)


def trained_weights(
    variant: Variant, implementation: Implementation, dtype: torch.dtype, device: str
) -> Quantities:
    """Return the weights after a few training steps, by torch's AdamW or by the graphed step."""
    model, batches = model_and_batches(variant, implementation, dtype, device, 0, STEPS)
    loss = LOSSES[variant.loss]
    optimizer = adamw(model.parameters(), lr=LEARNING_RATE)
    graphed = GraphedStep(model, loss)
    for x, y in batches:
        if implementation.graphed:
            graphed(x, y, LEARNING_RATE, BETAS[0])
        else:
            optimizer.zero_grad()
            loss(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    named = model.named_parameters()
    weights = {name: weight for name, weight in named if not name.startswith("rnn.")}
    if hasattr(model, "rnn"):
        weights |= canonical_parameters(model.get_submodule("rnn"))
    return on_cpu({f"{name} after {STEPS} steps": weight for name, weight in weights.items()})


def model_and_batches(
    variant: Variant,
    implementation: Implementation,
    dtype: torch.dtype,
    device: str,
    seed: int,
    count: int,
    **sizes: int,
) -> tuple[nn.Module, list[tuple[Tensor, Tensor]]]:
    """Return a model with the weights of ``seed``, and ``count`` batches of random tokens."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(variant, **sizes)
    model = deepcopy(model).to(device=device, dtype=dtype)
    shape = (model.batch_size, variant.bptt + 1)
    tokens = [
        torch.randint(0, model.vocab_size, shape, generator=generator).to(device)
        for _ in range(count)
    ]
    batches = [(rows[:, :-1].contiguous(), rows[:, 1:].contiguous()) for rows in tokens]
    return implementation.convert(variant, model), batches


def on_cpu(found: Mapping[str, Tensor]) -> Quantities:
    """Return copies in float64 on the CPU."""
    return {
        name: values.detach().to("cpu", torch.float64, copy=True) for name, values in found.items()
    }
