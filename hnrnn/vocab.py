"""Tokens and the vocabulary of 40 entries, in fastai v1's order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

BEGIN_OF_STREAM = "xxbos"
SPECIAL_TOKENS = tuple("xxunk xxpad xxbos xxeos xxfld xxmaj xxup xxrep xxwrep".split())
FILLER = "xxfake"

_TOKEN = re.compile(r"[^\s,]+|,")


def tokenize(text: str) -> list[str]:
    """Return ``xxbos``, then the words and commas of a text of numbers."""
    return [BEGIN_OF_STREAM, *_TOKEN.findall(text)]


@dataclass(frozen=True)
class Vocab:
    """Token strings by number (``itos``: integer to string), and the reverse (``stoi``)."""

    itos: tuple[str, ...]

    @classmethod
    def from_tokens(cls, tokens: Iterable[str], minimum_count: int = 2) -> Vocab:
        """Return the vocabulary of ``tokens``, ordered as by fastai 1.0.61's ``Vocab.create``.

        Special tokens come first. The others follow by decreasing frequency, and by first
        appearance among equals; those seen fewer than ``minimum_count`` times are left out.
        Fillers pad the vocabulary to a multiple of 8.
        """
        counts = Counter(tokens)
        words = [
            token
            for token, count in counts.most_common()
            if count >= minimum_count and token not in SPECIAL_TOKENS
        ]
        itos = [*SPECIAL_TOKENS, *words]
        itos += [FILLER] * (-len(itos) % 8)
        return cls(tuple(itos))

    @cached_property
    def stoi(self) -> dict[str, int]:
        """Numbers by token string (string to integer)."""
        return {token: number for number, token in enumerate(self.itos)}

    def __len__(self) -> int:
        return len(self.itos)

    def numericalize(self, tokens: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the numbers of ``tokens``, shape (tokens,); an unknown token is 0, ``xxunk``."""
        return np.array([self.stoi.get(token, 0) for token in tokens], dtype=np.int64)

    def textify(self, numbers: Iterable[int]) -> str:
        """Return the tokens of ``numbers``, a one-dimensional array, tensor or list, as a text."""
        return " ".join(self.itos[int(number)] for number in numbers)
