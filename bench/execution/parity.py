"""The parity gate: a backend is measured only after it has been shown to compute the same thing.

The reference is ``nn`` on the CPU in float64 (``custom`` for ``Model0`` to ``Model3``, which no
module executes). Compared are outputs, the final hidden state, and the gradients of every
parameter and of the input; of a graphed training step also the weights after some steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from hnrnn.models import build_model
from hnrnn.settings import pinned_settings
from hnrnn.training import BETAS, EPS, LOSSES, WEIGHT_DECAY
from hnrnn.variants import Recurrence, Variant

FLOAT64_BOUND = 1e-12
"""Of the largest difference, beside the largest value of the same quantity (or 1)."""
FLOAT32_FACTOR = 16
"""How many times the reference's own rounding error in float32 a backend's may be."""
BATCHES = 2
"""Of a whole model: the second starts from the state that the first has left."""
STEPS = WARM_UP_CALLS + 3
LEARNING_RATE = 1e-3

Quantities = dict[str, Tensor]
"""Tensors by name, in float64 on the CPU."""


@dataclass(frozen=True)
class Sizes:
    """What a recurrence is tried with."""

    batch: int = 64
    time: int = 20
    inputs: int = 64
    hidden: int = 64
    layers: int = 1


@dataclass(frozen=True)
class Difference:
    """How far one quantity is from the reference's, and how far it may be.

    Both are shares of the reference's largest absolute value, where that is above 1.
    """

    quantity: str
    difference: float
    bound: float

    @property
    def passed(self) -> bool:
        """Whether the quantity is as near as it must be; NaN is not."""
        return self.difference <= self.bound


@dataclass(frozen=True)
class Parity:
    """What the gate found for a backend, the largest differences over all quantities."""

    float64: float
    float32: float
    tf32: float | None
    """In float32 with TF32 allowed: a finding, not a criterion; None on a CPU."""
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every quantity is within its bound."""
        return not self.failures


@pinned_settings()
def check(variant: Variant, backend: str, device: str) -> Parity:
    """Hold a backend against the reference at the variant's sizes, with TF32 off."""
    implementation = IMPLEMENTATIONS[backend]
    quantities = partial(_variant_quantities, variant)
    reference = quantities(reference_of(variant), torch.float64, "cpu")
    rounded = quantities(reference_of(variant), torch.float32, "cpu")
    with implementation.settings():
        with _tf32(allowed=False):
            exact = float64_differences(
                reference, quantities(implementation, torch.float64, device)
            )
            if implementation.graphed:
                exact += float64_differences(
                    trained_weights(variant, reference_of(variant), torch.float64, "cpu"),
                    trained_weights(variant, implementation, torch.float64, device),
                )
            single = float32_differences(
                reference, rounded, quantities(implementation, torch.float32, device)
            )
        tf32 = None
        if device == "cuda":
            with _tf32(allowed=True):
                found = quantities(implementation, torch.float32, device)
            tf32 = max(_difference(reference[name], found[name]) for name in reference)
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
    """Return every quantity's difference, in float64, with its bound."""
    _same_names(reference, found)
    return [
        Difference(name, _difference(values, found[name]), FLOAT64_BOUND)
        for name, values in reference.items()
    ]


def float32_differences(
    reference: Quantities, rounded: Quantities, found: Quantities
) -> list[Difference]:
    """Return every quantity's difference, in float32, from the float64 reference.

    The bound is ``FLOAT32_FACTOR`` times the error of ``rounded``, the reference backend's own
    float32 values, and never less than as many units of float32's rounding.
    """
    _same_names(reference, found)
    unit = torch.finfo(torch.float32).eps
    return [
        Difference(
            name,
            _difference(values, found[name]),
            FLOAT32_FACTOR * max(unit, _difference(values, rounded[name])),
        )
        for name, values in reference.items()
    ]


def _largest(differences: list[Difference]) -> float:
    return float(torch.tensor([d.difference for d in differences]).max())  # NaN stays NaN


def _same_names(reference: Quantities, found: Quantities) -> None:
    if reference.keys() != found.keys():
        raise ValueError(f"expected {', '.join(reference)}; found {', '.join(found)}")


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
    """Return outputs, final state and all gradients of a recurrence with random weights.

    The weights, the input, the first state and the gradients of the results are drawn from
    ``seed`` alone; they are the same for every implementation, dtype and device.
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
    parameters = canonical_parameters(recurrence)
    named = {"x": x, "h": h, **parameters}
    gradients = torch.autograd.grad(
        results, list(named.values()), toward, allow_unused=True, materialize_grads=True
    )
    found = dict(zip(("outputs", "final h"), results, strict=True))
    found |= {
        f"gradient of {name}": gradient for name, gradient in zip(named, gradients, strict=True)
    }
    return on_cpu(found)


def model_quantities(
    variant: Variant,
    implementation: Implementation,
    dtype: torch.dtype,
    device: str,
    seed: int = 0,
    **sizes: int,
) -> Quantities:
    """Return scores, kept state, running statistics and all gradients of a whole model.

    The gradient of the input is that of the embedding, ``i_h.weight``. ``seed`` is that of the
    weights; the batches are always the same.
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
    variant: Variant,
    implementation: Implementation,
    dtype: torch.dtype,
    device: str,
    seed: int = 0,
) -> Quantities:
    """Return the weights after a few training steps, by torch's AdamW or by the graphed step."""
    model, batches = model_and_batches(variant, implementation, dtype, device, seed, STEPS)
    loss = LOSSES[variant.loss]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=EPS, weight_decay=WEIGHT_DECAY
    )
    graphed = GraphedStep(model, loss)
    for x, y in batches:
        if implementation.graphed:
            graphed(x, y, LEARNING_RATE, BETAS[0])
        else:
            optimizer.zero_grad()
            loss(model(x), y).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    recurrence = model.get_submodule("rnn") if hasattr(model, "rnn") else None
    canonical = {} if recurrence is None else canonical_parameters(recurrence)
    found: Quantities = {
        f"{name} after {STEPS} steps": parameter for name, parameter in canonical.items()
    }
    for name, parameter in model.named_parameters():
        if not name.startswith("rnn."):
            found[f"{name} after {STEPS} steps"] = parameter
    return on_cpu(found)


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


@contextmanager
def _tf32(*, allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32, and put back what was set, after an exception too."""
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    try:
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
