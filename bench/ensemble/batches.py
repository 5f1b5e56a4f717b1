"""The batches of a pass in the form that an ensemble needs: time-major, with indices.

All seeds see the same stream. In a time-major batch the token of step ``t`` in row ``b`` is at
index ``t * bs + b``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """One batch of N tokens for S seeds, each with a table of R rows.

    M is the number of predictions: N, or the number of rows if only the last token is predicted.
    """

    rows: Tensor
    """(S * N,), int64: the row of each token in the stacked tables of all seeds."""
    order: Tensor
    """(N,), int64: the places of all tokens, sorted by the tokens' rows in a seed's table."""
    starts: Tensor
    """(R,), int64: where each row's places start in ``order``."""
    tokens: Tensor
    """(R, N): the one-hot columns of the tokens' rows."""
    targets: Tensor
    """(M,), int64: the tokens to be predicted."""
    targets_one_hot: Tensor
    """(M, V): the one-hot rows of the targets."""


@dataclass(frozen=True)
class Layout:
    """How a model reads a batch."""

    vocab_size: int
    steps: int
    """The number of tokens of a row that the model reads."""
    last_only: bool
    """Whether only the token after the last one of a row is predicted."""
    first_bypasses: bool
    """Whether the first step has its own table, stacked below that of the other steps."""


def prepare(
    stream: Iterable[tuple[Tensor, Tensor]], layout: Layout, *, seeds: int, dtype: torch.dtype
) -> list[Batch]:
    """Return the batches of a pass over ``stream``, which yields x and y, each (bs, bptt)."""
    vocab_size = layout.vocab_size
    table_rows = vocab_size * (2 if layout.first_bypasses else 1)
    batches = []
    for x, y in stream:
        by_step = x[:, : layout.steps].t().clone()
        if layout.first_bypasses:
            by_step[0] += vocab_size
        tokens = by_step.flatten()
        counts = tokens.bincount(minlength=table_rows)
        offsets = table_rows * torch.arange(seeds, device=x.device)
        targets = y[:, -1] if layout.last_only else y.t().flatten()
        batches.append(
            Batch(
                rows=(offsets[:, None] + tokens).flatten(),
                order=tokens.argsort(stable=True),
                starts=counts.cumsum(0) - counts,
                tokens=torch.eye(table_rows, dtype=dtype, device=x.device)[:, tokens],
                targets=targets.contiguous(),
                targets_one_hot=torch.eye(vocab_size, dtype=dtype, device=x.device)[targets],
            )
        )
    return batches
