"""Tokens and the vocabulary of 40, in the order that fastai v1 gives it."""

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
    """Split a text of numbers into words and commas, behind one ``xxbos``."""
    return [BEGIN_OF_STREAM, *_TOKEN.findall(text)]


@dataclass(frozen=True)
class Vocab:
    """Token strings by number (``itos``: integer to string), and back."""

    itos: tuple[str, ...]

    @classmethod
    def from_tokens(cls, tokens: Iterable[str], minimum_count: int = 2) -> Vocab:
        """Order the vocabulary as fastai 1.0.61's ``Vocab.create`` does.

        Special tokens come first; then the others by falling frequency, equal ones by first
        appearance, those seen fewer than ``minimum_count`` times left out; then fillers up to a
        multiple of 8.
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
        """Number by token string (string to integer)."""
        return {token: number for number, token in enumerate(self.itos)}

    def __len__(self) -> int:
        return len(self.itos)

    def numericalize(self, tokens: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the numbers of ``tokens``, shape (tokens,); an unknown token is ``xxunk``, 0."""
        return np.array([self.stoi.get(token, 0) for token in tokens], dtype=np.int64)

    def textify(self, numbers: Iterable[int]) -> str:
        """Return the tokens of ``numbers`` (array, tensor or list, one dimension) as one text."""
        return " ".join(self.itos[int(number)] for number in numbers)
