"""How many seeds are trained at once.

On a CPU more seeds share the cost of each call, and fewer stay in the caches: the figures below
were the fastest ones measured, on one core with 1 MiB of L2, and are flat around it. On a GPU as
many as its memory takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from hnrnn.variants import Variant

CPU_SEEDS = {"last": 32, "relu": 4, "tanh": 4, "gru": 8}
"""Seeds in float32, by target where only a row's last token is predicted, else by recurrence."""
MEMORY_SHARE = 0.5
"""Of a GPU's free memory."""


def chunk_size(variant: Variant, dtype: str, device: torch.device) -> int:
    """Return the most seeds to train at once, 2 or more."""
    itemsize = {"float32": 4, "float64": 8}[dtype]
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(2, int(free * MEMORY_SHARE / seed_bytes(variant, itemsize)))
    kind = "last" if variant.target == "last" else variant.recurrence
    return CPU_SEEDS[kind] * 4 // itemsize


def seed_bytes(variant: Variant, itemsize: int, bs: int = 64, hidden: int = 64) -> int:
    """Return a bound of what one more seed takes: buffers, weights and the batches' indices."""
    of_layers = bs * variant.bptt * hidden * (12 * variant.num_layers + 10) * itemsize
    return of_layers + 5 * 2**20


def split(seeds: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return ``seeds`` in as few chunks of at most ``size`` as there can be, of even lengths."""
    count = -(-len(seeds) // size)
    bounds = [len(seeds) * index // count for index in range(count + 1)] if count else [0]
    return [seeds[start:stop] for start, stop in pairwise(bounds)]
