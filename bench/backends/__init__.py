"""The backends, one file each. ``bench.plan.grid`` describes them without loading torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.backends.cell import Cell
from bench.backends.compiled import Compiled
from bench.backends.custom import Custom
from bench.backends.custom_hoisted import CustomHoisted
from bench.backends.graphed import Graphed, GraphedLoop
from bench.backends.implementation import Implementation
from bench.backends.nn import NN
from bench.backends.nn_no_cudnn import NNNoCuDNN

IMPLEMENTATIONS: Mapping[str, Implementation] = MappingProxyType(
    {
        implementation.name: implementation
        for implementation in (
            NN(),
            NNNoCuDNN(),
            Cell(),
            Custom(),
            CustomHoisted(),
            Compiled(),
            Graphed(),
            GraphedLoop(),
        )
    }
)
