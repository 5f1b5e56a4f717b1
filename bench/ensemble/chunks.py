"""How many seeds are trained at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from hnrnn.variants import Variant


def chunk_size(variant: Variant, dtype: str, device: torch.device) -> int:
    """Return the most seeds to train at once."""
    del dtype, device
    return 32 if variant.target == "last" else 4


def split(seeds: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return ``seeds`` in as few chunks of at most ``size`` as there can be, of even lengths."""
    count = -(-len(seeds) // size)
    bounds = [len(seeds) * index // count for index in range(count + 1)] if count else [0]
    return [seeds[start:stop] for start, stop in pairwise(bounds)]
