"""Tokens and vocabulary."""

from __future__ import annotations

import pytest

from hnrnn import corpus
from hnrnn.vocab import Vocab, tokenize


def test_tokenize_splits_commas() -> None:
    """A comma is a token, and the stream starts with ``xxbos``."""
    assert tokenize("one, twenty two") == ["xxbos", "one", ",", "twenty", "two"]


def test_order_is_by_count_then_first_appearance() -> None:
    """Frequent tokens come first, equal ones in order of appearance; rare ones are left out."""
    vocab = Vocab.from_tokens("b a b a c c c d".split())
    assert vocab.itos[9:12] == ("c", "b", "a")
    assert "d" not in vocab.itos
    assert vocab.itos[12:] == ("xxfake",) * 4


def test_size_is_a_multiple_of_eight() -> None:
    """Fillers pad the vocabulary to a multiple of eight, if it is not one already."""
    words = [f"w{i}" for i in range(7)]
    assert len(Vocab.from_tokens(words * 2)) == 16
    assert "xxfake" not in Vocab.from_tokens(words * 2).itos


def test_numbers_and_text_are_inverse() -> None:
    """Textify undoes numericalize on the whole validation split."""
    tokens = tokenize(corpus.generate().valid)
    vocab = Vocab.from_tokens(tokenize(corpus.generate().train))
    numbers = vocab.numericalize(tokens)
    assert numbers.dtype == "int64"
    assert vocab.textify(numbers) == " ".join(tokens)


def test_unknown_token_is_xxunk() -> None:
    """A token outside the vocabulary becomes number 0."""
    vocab = Vocab.from_tokens(["one", "one"])
    assert vocab.textify(vocab.numericalize(["eleventy", "one"])) == "xxunk one"
    with pytest.raises(IndexError):
        vocab.textify([99])
