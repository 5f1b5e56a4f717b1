"""The interface of the pointwise functions between the matrix products of an ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pointwise:
    """The functions of ``bench.ensemble.in_place`` or of ``bench.ensemble.kernels``."""

    gru_forward: Callable[[Sequence[Tensor], Tensor, Tensor], None]
    gru_backward: Callable[
        [Sequence[Tensor], Tensor, Tensor, Tensor | None, Sequence[Tensor], Tensor], None
    ]
    adamw: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], None]
