"""The choice of pointwise functions for a device."""

from __future__ import annotations

from torch import Tensor

from bench.backends.compiled import why_no_triton
from bench.ensemble.in_place import IN_PLACE, Pointwise


def pointwise_for(like: Tensor) -> Pointwise:
    """Return the functions for the device of ``like``: kernels on a GPU that can run Triton."""
    if like.is_cuda and not why_no_triton():
        from bench.ensemble.kernels import KERNELS

        return KERNELS
    return IN_PLACE
