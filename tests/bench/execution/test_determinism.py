"""The same run ends in the same bits, wherever and beside whatever it is done."""

from __future__ import annotations

import pytest
import torch

from bench.plan.grid import BACKENDS
from hnrnn.variants import VARIANTS
from tests.determinism import configurations, differences, train_beside

COMPILED = "Model1 compiled"
"""The quickest to compile; ``python -m tests.determinism`` has them all, in minutes."""
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_same_bits_everywhere(device: str) -> None:
    """Weights and losses are the same in another process, in another order and beside others.

    On every variant's own backend, and on all backends of a variant with and one without a GRU.
    """
    there = configurations(device)
    own = {f"{variant.name} {variant.backend}" for variant in VARIANTS.values()}
    others = {f"{name} {backend}" for name in ("Model3", "Model6") for backend in BACKENDS}
    names = [name for name in there if name in own | others | {COMPILED}]
    names = [name for name in names if "compiled" not in name or name == COMPILED]
    assert len(names) >= 12
    results = train_beside(names, device)
    assert differences(results) == []
    assert [result.keys() for result in results] == [set(names)] * 2
    # The backends of a variant are not the same to the bit: that is told from this.
    assert len(set(results[0].values())) > len(names) / 2
