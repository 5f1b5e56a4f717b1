"""The batch stream of fastai v1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hnrnn.stream import BatchStream, language_model_data


@given(tokens=st.integers(4, 300), bs=st.integers(1, 4), bptt=st.integers(1, 12))
def test_rows_run_on_and_wrap(tokens: int, bs: int, bptt: int) -> None:
    """Row i starts at int(tokens / bs * i), continues from batch to batch, and wraps at the end."""
    stream = BatchStream(np.arange(tokens), bptt, bs)
    batches = list(stream)
    assert len(batches) == len(stream) == math.ceil(tokens / (bptt * bs))
    for row in range(bs):
        position = int(tokens / bs * row)
        for x, y in batches:
            for column in range(bptt):
                assert x[row, column] == position % tokens
                assert y[row, column] == (position + 1) % tokens
                position += 1


def test_every_pass_starts_anew() -> None:
    """Iterating twice gives the same batches."""
    stream = language_model_data(20).valid
    first, second = list(stream), list(stream)
    assert all(torch.equal(a[i], b[i]) for a, b in zip(first, second, strict=True) for i in (0, 1))


def test_shapes_and_dtype() -> None:
    """Batches are bs rows of bptt tokens, int64, with the notebook's counts for bptt 20."""
    dls = language_model_data(20, bs=64)
    x, y = dls.train.batch(0)
    assert x.shape == y.shape == (64, 20)
    assert x.dtype == torch.int64
    assert (len(dls.train), len(dls.valid)) == (40, 11)
    assert len(dls.vocab) == 40


def test_other_sizes() -> None:
    """The sizes of other published notebooks work as well."""
    dls = language_model_data(40, bs=32)
    assert dls.train.batch(0)[0].shape == (32, 40)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 64), "bptt must be 1"), ((3, 0), "bs must be 1"), ((3, 99999), "smaller bs")],
)
def test_bad_sizes(arguments: tuple[int, int], message: str) -> None:
    """An invalid size is refused with a message that says what would be valid."""
    with pytest.raises(ValueError, match=message):
        language_model_data(*arguments)


def test_to_moves_the_batches() -> None:
    """The stream moves to a device and says where it is."""
    stream = BatchStream(np.arange(10), 2, 2).to("meta")
    assert stream.device.type == "meta"
    assert all(x.device.type == "meta" for x, _ in stream)
