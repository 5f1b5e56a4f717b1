"""The steps between the products, which have a form for a CPU and one for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pointwise:
    """The functions, as ``in_place`` and ``kernels`` each have them."""

    gru_forward: Callable[[Sequence[Tensor], Tensor, Tensor], None]
    gru_backward: Callable[
        [Sequence[Tensor], Tensor, Tensor, Tensor | None, Sequence[Tensor], Tensor], None
    ]
    adamw: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], None]
