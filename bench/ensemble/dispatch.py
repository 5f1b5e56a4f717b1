"""Which form of the steps between the products suits a device."""

from __future__ import annotations

from torch import Tensor

from bench.backends.compiled import triton_unavailable
from bench.ensemble.in_place import IN_PLACE
from bench.ensemble.pointwise import Pointwise


def pointwise_for(like: Tensor) -> Pointwise:
    """Return what suits the device of ``like``: the kernels on a GPU, where Triton can be used."""
    if like.is_cuda and not triton_unavailable():
        from bench.ensemble.kernels import KERNELS

        return KERNELS
    return IN_PLACE
