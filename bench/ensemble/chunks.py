"""The number of seeds that are trained at once.

On a CPU more seeds share the overhead of each call, but fewer fit into the caches. The numbers
below were the fastest on a core with 1 MiB of L2 cache. On a GPU memory is the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch

from hnrnn.variants import Variant

CPU_SEEDS = {"last": 32, "relu": 4, "tanh": 4, "gru": 8}
"""Seeds in float32, by recurrence, or ``last`` if only the last token of a row is predicted."""
MEMORY_SHARE = 0.5


def chunk_size(variant: Variant, dtype: str, device: torch.device) -> int:
    """Return the largest number of seeds to train at once, 2 or more."""
    itemsize = {"float32": 4, "float64": 8}[dtype]
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        # Other workers on the GPU may not have taken their share yet.
        free = min(free, int(total * torch.cuda.get_per_process_memory_fraction(device)))
        # An upper bound of a seed's memory: buffers, then weights and the indices of batches.
        of_layers = 64 * variant.bptt * 64 * (12 * variant.num_layers + 10) * itemsize
        return max(2, int(free * MEMORY_SHARE / (of_layers + 5 * 2**20)))
    kind = "last" if variant.target == "last" else variant.recurrence
    return CPU_SEEDS[kind] * 4 // itemsize


def split(seeds: Sequence[int], size: int) -> list[Sequence[int]]:
    """Return ``seeds`` in the smallest number of chunks of at most ``size``, evenly filled."""
    count = -(-len(seeds) // size)
    bounds = [len(seeds) * index // count for index in range(count + 1)] if count else [0]
    return [seeds[start:stop] for start, stop in pairwise(bounds)]
