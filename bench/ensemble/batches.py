"""The batches of a pass as an ensemble reads them: step after step, with ready indices.

All seeds see the same stream. A row of a time-major batch is one token of one step: step ``t`` of
row ``b`` is at ``t * bs + b``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch for S seeds over a table of R rows a seed; N is its number of tokens, time-major.

    M is N where every token is predicted, and the batch's rows where only the last one is.
    """

    rows: Tensor
    """(S * N,), int64: each token's row in the tables of all seeds, one below the other."""
    tokens: Tensor
    """(R, N): 1 where a token's row is, else 0."""
    targets: Tensor
    """(M,), int64: what is to be predicted."""
    targets_one_hot: Tensor
    """(M, V): 1 where a target is, else 0."""


@dataclass(frozen=True)
class Layout:
    """How a model reads a batch."""

    vocab_size: int
    steps: int
    """Tokens of a row that the model looks at."""
    last_only: bool
    """Whether the token after the row's last is predicted, or the one after every token."""
    first_bypasses: bool
    """Whether the first step looks its tokens up in a table of its own, below the other's rows."""


def prepare(
    stream: Iterable[tuple[Tensor, Tensor]], layout: Layout, *, seeds: int, dtype: torch.dtype
) -> list[Batch]:
    """Return the batches of a pass over ``stream``, which yields x and y, (bs, bptt)."""
    vocab_size = layout.vocab_size
    table_rows = vocab_size * (2 if layout.first_bypasses else 1)
    batches = []
    for x, y in stream:
        by_step = x[:, : layout.steps].t().clone()
        if layout.first_bypasses:
            by_step[0] += vocab_size
        tokens = by_step.flatten()
        offsets = table_rows * torch.arange(seeds, device=x.device)
        targets = y[:, -1] if layout.last_only else y.t().flatten()
        batches.append(
            Batch(
                rows=(offsets[:, None] + tokens).flatten(),
                tokens=torch.eye(table_rows, dtype=dtype, device=x.device)[:, tokens],
                targets=targets.contiguous(),
                targets_one_hot=torch.eye(vocab_size, dtype=dtype, device=x.device)[targets],
            )
        )
    return batches
