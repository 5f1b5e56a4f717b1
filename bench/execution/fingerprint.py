"""How this machine rounds: its instruction set, and a hash of the results of some operations."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hnrnn.settings import pinned_settings

DTYPES = (torch.float32, torch.float64)


def instruction_set(device: str) -> str:
    """Return the instruction set of torch's own kernels, such as ``AVX2`` or ``sm_90``."""
    if device == "cuda":
        return "sm_{}{}".format(*torch.cuda.get_device_capability())
    return torch.backends.cpu.get_cpu_capability()


def numeric_fingerprint(device: str) -> str:
    """Return a short hash of the results of fixed operations on ``cpu`` or ``cuda``.

    They are the operations of a training, at its sizes, with the present number of CPU threads.
    """
    return _fingerprint(device, torch.get_num_threads())


@cache
def _fingerprint(device: str, threads: int) -> str:
    del threads  # part of the cache's key: they may change how sums are split
    digest = hashlib.sha256()
    with pinned_settings(), torch.no_grad():
        for dtype in DTYPES:
            for result in _results(dtype, device):
                digest.update(result.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _results(dtype: torch.dtype, device: str) -> Iterator[Tensor]:
    tokens, hidden, gates, vocab_size = 64 * 20, 64, 3 * 64, 40
    x, scores = (_numbers(tokens, width, dtype, device) for width in (hidden, vocab_size))
    weight, gate_weight = (_numbers(width, hidden, dtype, device) for width in (hidden, gates))
    bias, h = weight[0], x[:64]
    yield F.linear(x, weight, bias)
    yield F.linear(h, gate_weight)
    yield gate_weight @ h.T
    yield x.T @ x
    yield torch.bmm(x.view(20, 64, hidden), weight.expand(20, hidden, hidden))
    for function in (torch.tanh, torch.sigmoid, torch.exp, torch.sqrt, torch.reciprocal):
        yield function(x.abs() + 0.5 if function is torch.sqrt else 8 * x + 4.5)
    yield torch.log_softmax(16 * scores, dim=-1)
    yield F.batch_norm(x, None, None, training=True)
    for dimension in (0, 1):
        yield x.sum(dimension)
        yield x.var(dimension)
    yield torch.stack([x.sum(), x.mean(), x.square().sum()])


def _numbers(rows: int, columns: int, dtype: torch.dtype, device: str) -> Tensor:
    """Return numbers from -0.5 to 0.5 that are the same on every machine, (rows, columns)."""
    numbers = np.arange(rows * columns) * 7919 % 65521 / 65521 - 0.5
    return torch.from_numpy(numbers.reshape(rows, columns)).to(device=device, dtype=dtype)
