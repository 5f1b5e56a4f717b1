"""The pointwise functions of ``bench.ensemble.in_place`` for a GPU, as one Triton kernel each.

A kernel reads and writes every value once; separate operations would do so several times. With
``TRITON_INTERPRET=1`` in the environment the kernels run on a CPU, slowly.
"""

from __future__ import annotations

from collections.abc import Sequence

import triton
import triton.language as tl
from torch import Tensor

from bench.ensemble.in_place import Pointwise
from hnrnn.optimizer import BETAS, EPS

BLOCK = 1024
FP_FUSION = True
"""Whether a product and a sum may be rounded together, as in torch's own GPU kernels."""


def gru_forward(parts: Sequence[Tensor], previous: Tensor, state: Tensor) -> None:
    """Do the same as ``in_place.gru_forward``."""
    gates, size = parts[0], state[0].numel()
    _gru_forward[len(state), triton.cdiv(size, BLOCK)](
        gates,
        previous,
        state,
        gates.stride(0),
        previous.stride(0),
        state.stride(0),
        size,
        HIDDEN=state.shape[2],
        BLOCK=BLOCK,
        enable_fp_fusion=FP_FUSION,
    )


@triton.jit
def _gru_forward(
    gates,
    previous,
    state,
    gates_stride,
    previous_stride,
    state_stride,
    size,
    HIDDEN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    seed = tl.program_id(0).to(tl.int64)
    element = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = element < size
    gate = gates + seed * gates_stride + element // HIDDEN * (4 * HIDDEN) + element % HIDDEN
    r = 1 / (1 + tl.exp(-tl.load(gate + HIDDEN, inside)))
    z = 1 / (1 + tl.exp(-tl.load(gate + 2 * HIDDEN, inside)))
    hidden_n = tl.load(gate + 3 * HIDDEN, inside)
    n = 2 / (1 + tl.exp(-tl.load(gate, inside) - 2 * r * hidden_n)) - 1
    h = tl.load(previous + seed * previous_stride + element, inside)
    tl.store(gate, n, inside)
    tl.store(gate + HIDDEN, r, inside)
    tl.store(gate + 2 * HIDDEN, z, inside)
    tl.store(state + seed * state_stride + element, n + z * (h - n), inside)


def gru_backward(
    parts: Sequence[Tensor],
    previous: Tensor,
    gradient: Tensor,
    earlier: Tensor | None,
    d_parts: Sequence[Tensor],
    scratch: Tensor,  # noqa: ARG001
) -> None:
    """Do the same as ``in_place.gru_backward``; ``scratch`` is not used."""
    gates, d_gates, size = parts[0], d_parts[0], previous[0].numel()
    _gru_backward[len(previous), triton.cdiv(size, BLOCK)](
        gates,
        previous,
        gradient,
        gradient if earlier is None else earlier,
        d_gates,
        gates.stride(0),
        previous.stride(0),
        gradient.stride(0),
        d_gates.stride(0),
        size,
        HAS_EARLIER=earlier is not None,
        HIDDEN=previous.shape[2],
        BLOCK=BLOCK,
        enable_fp_fusion=FP_FUSION,
    )


@triton.jit
def _gru_backward(
    gates,
    previous,
    gradient,
    earlier,
    d_gates,
    gates_stride,
    previous_stride,
    gradient_stride,
    d_gates_stride,
    size,
    HAS_EARLIER: tl.constexpr,
    HIDDEN: tl.constexpr,
    BLOCK: tl.constexpr,
):
    seed = tl.program_id(0).to(tl.int64)
    element = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = element < size
    place = element // HIDDEN * (4 * HIDDEN) + element % HIDDEN
    gate, d_gate = gates + seed * gates_stride + place, d_gates + seed * d_gates_stride + place
    n, r = tl.load(gate, inside), tl.load(gate + HIDDEN, inside)
    z, hidden_n = tl.load(gate + 2 * HIDDEN, inside), tl.load(gate + 3 * HIDDEN, inside)
    h = tl.load(previous + seed * previous_stride + element, inside)
    d_state = tl.load(gradient + seed * gradient_stride + element, inside)
    d_n = d_state * (1 - z) * (1 - n * n)
    tl.store(d_gate, d_n, inside)
    tl.store(d_gate + HIDDEN, d_n * hidden_n * r * (1 - r), inside)
    tl.store(d_gate + 2 * HIDDEN, d_state * (h - n) * z * (1 - z), inside)
    tl.store(d_gate + 3 * HIDDEN, d_n * r, inside)
    if HAS_EARLIER:
        before = earlier + seed * gradient_stride + element
        tl.store(before, tl.load(before, inside) + d_state * z, inside)


def adamw(
    weights: Tensor,
    gradients: Tensor,
    means: Tensor,
    squares: Tensor,
    factors: Tensor,
    scratch: Tensor,  # noqa: ARG001
) -> None:
    """Do the same as ``in_place.adamw``; ``scratch`` is not used."""
    size = weights.numel()
    _adamw[(triton.cdiv(size, BLOCK),)](
        weights,
        gradients,
        means,
        squares,
        factors,
        size,
        KEPT=BETAS[1],
        ADDED=1 - BETAS[1],
        EPS=EPS,
        BLOCK=BLOCK,
        enable_fp_fusion=FP_FUSION,
    )


@triton.jit
def _adamw(
    weights,
    gradients,
    means,
    squares,
    factors,
    size,
    KEPT: tl.constexpr,
    ADDED: tl.constexpr,
    EPS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = element < size
    decay, added = tl.load(factors), tl.load(factors + 1)
    step_size, root_correction = tl.load(factors + 2), tl.load(factors + 3)
    gradient = tl.load(gradients + element, inside)
    # Without tl.full a number would be rounded to float32, even in a product with float64.
    kept, new = tl.full((1,), KEPT, gradient.dtype), tl.full((1,), ADDED, gradient.dtype)
    mean = tl.load(means + element, inside)
    mean += added * (gradient - mean)
    square = tl.load(squares + element, inside) * kept + new * gradient * gradient
    denominator = tl.sqrt(square) / root_correction + tl.full((1,), EPS, gradient.dtype)
    weight = tl.load(weights + element, inside) * decay + step_size * mean / denominator
    tl.store(means + element, mean, inside)
    tl.store(squares + element, square, inside)
    tl.store(weights + element, weight, inside)


KERNELS = Pointwise(gru_forward, gru_backward, adamw)
