"""The same run ends in the same bits, wherever and beside whatever it is done."""

from __future__ import annotations

import pytest
import torch

from hnrnn.variants import VARIANTS
from tests.determinism import configurations, differences, train_all, train_beside

COMPILED = ("Model0 compiled", "Model1 compiled")
"""The two quickest to compile; ``python -m tests.determinism`` has them all, in minutes."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


@pytest.mark.parametrize("device", DEVICES)
def test_same_bits_everywhere(device: str) -> None:
    """Weights and losses are the same in other processes, in other orders and beside others."""
    there = configurations(device)
    names = [name for name in there if "compiled" not in name or name in COMPILED]
    assert len(names) >= 24
    alone = [f"{variant.name} {variant.backend}" for variant in VARIANTS.values()]
    results = [*train_beside(names, device), train_all(alone, device)]
    assert differences(results) == []
    assert [result.keys() for result in results] == [set(names), set(names), set(alone)]
    # The backends of a variant are not the same to the bit: that is told from this.
    assert len(set(results[0].values())) > len(names) / 2
