"""A linear map of all steps' inputs at once, whether they are tokens or another layer's states.

An embedded token is one of few rows, so that the map is applied to the vocabulary, and the tokens
look its result up; backward, the gradients are summed by token before anything is multiplied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.ensemble.batches import Batch


def project(source: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
    """Set ``out``, (S, M, G), to ``source``, (S, M, K), times ``weight``, (S, F, K), plus ``bias``.

    ``bias`` is (S, G); where G is more than F, the last columns are the bias alone.
    """
    out.copy_(bias[:, None])
    out[..., : weight.shape[1]].baddbmm_(source, weight.mT)


def look_up(table: Tensor, batch: Batch, out: Tensor) -> None:
    """Set ``out``, (S, N, G), to each token's row of ``table``, (S, V, G)."""
    torch.index_select(table.flatten(0, 1), 0, batch.rows, out=out.flatten(0, 1))


def sum_by_token(gradient: Tensor, batch: Batch) -> Tensor:
    """Return the sums, (S, V, G), of ``gradient``, (S, N, G), over each token's rows."""
    if gradient.is_cuda:  # the sums of atomic additions differ from time to time
        return one_hot_sums(gradient, batch)
    sums = gradient.new_zeros(len(gradient), len(batch.tokens), gradient.shape[2])
    sums.flatten(0, 1).index_add_(0, batch.rows, gradient.flatten(0, 1))
    return sums


def one_hot_sums(gradient: Tensor, batch: Batch) -> Tensor:
    """Return what ``sum_by_token`` does by a product."""
    return torch.bmm(batch.tokens.expand(len(gradient), -1, -1), gradient)
