"""A linear map of the inputs of all steps at once: of tokens, or of another layer's states.

There are few different tokens, so the map is applied to the vocabulary, and its result is looked up
for each token. In the backward, gradients are summed by token before any product.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.ensemble.batches import Batch


def project(source: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
    """Set ``out``, (S, M, G), to ``source``, (S, M, K), times ``weight``, (S, F, K), plus ``bias``.

    ``bias`` is (S, G); if G is more than F, the last columns are the bias alone.
    """
    out.copy_(bias[:, None])
    out[..., : weight.shape[1]].baddbmm_(source, weight.mT)


def look_up(table: Tensor, batch: Batch, out: Tensor) -> None:
    """Set ``out``, (S, N, G), to the row of ``table``, (S, V, G), for each token."""
    torch.index_select(table.flatten(0, 1), 0, batch.rows, out=out.flatten(0, 1))


def sum_by_token(gradient: Tensor, batch: Batch) -> Tensor:
    """Return the sums, (S, V, G), of ``gradient``, (S, N, G), over all places of each token."""
    if gradient.is_cuda:  # atomic additions would not be deterministic
        return one_hot_sums(gradient, batch)
    seeds, places, features = gradient.shape
    first = places * torch.arange(seeds)[:, None]
    # The bags are the tokens: faster than ``index_add_``, which adds element by element.
    sums = F.embedding_bag(
        (first + batch.order).flatten(),
        gradient.flatten(0, 1),
        (first + batch.starts).flatten(),
        mode="sum",
    )
    return sums.view(seeds, -1, features)


def one_hot_sums(gradient: Tensor, batch: Batch) -> Tensor:
    """Return the same sums as ``sum_by_token``, computed as a product."""
    return torch.bmm(batch.tokens.expand(len(gradient), -1, -1), gradient)
