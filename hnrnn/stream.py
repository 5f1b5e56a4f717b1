"""The batch stream of fastai v1's language model data, as a fastai v2 ``DataLoaders``.

Row ``i`` of every batch starts at token ``int(tokens / bs * i)`` of one long document and continues
from batch to batch; a row that reaches the end continues at the beginning. Every pass starts over.
fastai v2's ``LMDataLoader`` cuts the document into different rows and gives different results.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from fastai.data.core import DataLoaders
from torch import Tensor

from hnrnn import corpus as corpora
from hnrnn.corpus import Corpus
from hnrnn.vocab import Vocab, tokenize

Batch = tuple[Tensor, Tensor]


class BatchStream:
    """The batches of one document: iterating yields (x, y), each (bs, bptt) of int64.

    y is x shifted by one token. All batches of a pass are made once and kept on ``device``.
    """

    def __init__(
        self, numbers: npt.NDArray[np.int64], bptt: int, bs: int, device: str | torch.device = "cpu"
    ) -> None:
        """Stream ``numbers``, shape (tokens,); there must be at least ``bs`` of them."""
        for name, value in (("bptt", bptt), ("bs", bs)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, not {value}")
        if len(numbers) < bs:
            raise ValueError(f"{len(numbers)} tokens cannot fill {bs} rows: give a smaller bs")
        self.numbers, self.bptt, self.bs = numbers, bptt, bs
        self.device = torch.device(device)
        self._batches = [self.batch(index) for index in range(len(self))]

    def __reduce__(self) -> tuple[type[BatchStream], tuple[npt.NDArray[np.int64], int, int]]:
        """Pickle the numbers, not the batches; they are made again, on the CPU."""
        return type(self), (self.numbers, self.bptt, self.bs)

    def __len__(self) -> int:
        return math.ceil(len(self.numbers) / (self.bptt * self.bs))

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    def batch(self, index: int) -> Batch:
        """Return the batch at ``index`` of a pass; an index past the end continues the stream."""
        tokens = len(self.numbers)
        starts = np.array([int(tokens / self.bs * row) for row in range(self.bs)])
        offsets = index * self.bptt + np.arange(self.bptt + 1)
        window = self.numbers[(starts[:, None] + offsets) % tokens]
        rows = torch.from_numpy(window).to(self.device)
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    def to(self, device: str | torch.device) -> BatchStream:
        """Move the batches to ``device``; fastai's ``DataLoaders`` calls this."""
        self.device = torch.device(device)
        self._batches = [(x.to(self.device), y.to(self.device)) for x, y in self._batches]
        return self


class LanguageModelData(DataLoaders):  # type: ignore[misc]  # fastai has no types
    """fastai's ``DataLoaders`` of the two splits, with the ``vocab``."""

    def new_empty(self) -> LanguageModelData:
        """Return the data itself, so that an exported ``Learner`` takes it along."""
        return self


@cache
def numericalized(corpus: Corpus) -> tuple[Vocab, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the training split's vocabulary, and both splits as numbers, shape (tokens,)."""
    train, valid = tokenize(corpus.train), tokenize(corpus.valid)
    vocab = Vocab.from_tokens(train)
    return vocab, vocab.numericalize(train), vocab.numericalize(valid)


def language_model_data(
    bptt: int, bs: int = 64, device: str | torch.device = "cpu", corpus: Corpus | None = None
) -> LanguageModelData:
    """Return the notebook's data as a fastai ``DataLoaders`` of two ``BatchStream``.

    A row has ``bptt`` tokens and a batch has ``bs`` rows; ``dls.vocab`` is the vocabulary. Without
    a ``corpus`` the generated one is used. Raises ValueError for a size below 1, or for more rows
    than there are tokens.

    Source of the order: fastai 1.0.61, ``LanguageModelPreLoader``.
    """
    vocab, train, valid = numericalized(corpus or corpora.generate())
    streams = [BatchStream(numbers, bptt, bs, device) for numbers in (train, valid)]
    dls = LanguageModelData(*streams, device=torch.device(device))
    dls.vocab = vocab
    return dls
