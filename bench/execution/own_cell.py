"""Is my cell the same as PyTorch's? The parity gate for a cell that is not one of ours."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.backends.cell import Cell
from bench.backends.recurrence import LoopRecurrence
from bench.execution.parity import Parity, check_implementation
from hnrnn.variants import VARIANTS, Recurrence

VARIANT_OF = {"tanh": VARIANTS["Model4"], "gru": VARIANTS["Model7"]}
"""The variant at whose sizes a cell is compared."""


class OwnCell(Cell):
    """A loop over a given cell."""

    name = "own cell"

    def __init__(self, cell: Callable[[int, int], nn.Module]) -> None:
        self.cell = cell

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return the loop; the cell itself knows its kind."""
        del kind
        return LoopRecurrence(self.cell, sizes)


def check_cell(
    cell: Callable[[int, int], nn.Module], kind: Recurrence = "gru", *, device: str = "cpu"
) -> Parity:
    """Return whether a recurrent cell computes the same as PyTorch's.

        bench.check_cell(MyGRUCell).failures

    ``cell`` takes the input size and the hidden size, and returns a module that maps x,
    (batch, input), and h, (batch, hidden), to the next h. Its parameters have the names of
    ``nn.GRUCell``'s (``weight_ih``, ``weight_hh``, ``bias_ih``, ``bias_hh``), or are those of two
    linear maps, ``i2h`` and ``h2h``; the shapes and the order of the gates are PyTorch's. ``kind``
    is ``gru`` or ``tanh``.

    The gate is the one that every backend passes before it is measured: from the same weights, 20
    steps of 64 rows must give the same outputs, final state and gradients as ``nn.GRU`` or
    ``nn.RNN``, to 1e-12 in float64 and to rounding in float32. ``passed`` is the answer, and
    ``failures`` names what differs.

    Raises ValueError for another ``kind`` and for other shapes, TypeError for other parameters.
    """
    if kind not in VARIANT_OF:
        raise ValueError(f"unknown kind {kind!r}: choose from {', '.join(VARIANT_OF)}")
    return check_implementation(VARIANT_OF[kind], OwnCell(cell), device)
