"""Operations, bytes and a machine's peak, compared with counts by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.timing import roofline
from bench.timing.roofline import measure_peak, operations_of_learner, work_of_ensemble
from hnrnn.stream import language_model_data
from hnrnn.variants import VARIANTS

HIDDEN, VOCABULARY, BS = 64, 40, 64
MAP = 2 * HIDDEN * HIDDEN
"""Operations of a token's linear map from hidden to hidden."""
OUTPUT = 2 * HIDDEN * VOCABULARY


def tokens(name: str) -> tuple[int, int]:
    """Return the tokens of a training pass and of a validation."""
    bptt = VARIANTS[name].bptt
    dls = language_model_data(bptt)
    return len(dls.train) * BS * bptt, len(dls.valid) * BS * bptt


@pytest.mark.parametrize(("name", "maps"), [("Model4", 2), ("Model6", 6), ("Model5", 12)])
def test_operations_of_a_seed_alone(name: str, maps: int) -> None:
    """Forward one product a map and token, backward two more, for the input and the weights.

    The state before a batch has no gradient: half of the maps save a product there.
    """
    train, valid = tokens(name)
    saved = train / VARIANTS[name].bptt * maps / 2 * MAP
    expected = (3 * train + valid) * (maps * MAP + OUTPUT) - saved
    assert operations_of_learner(VARIANTS[name], 3) == 3 * expected


@pytest.mark.parametrize(("name", "gates"), [("Model4", 1), ("Model6", 3)])
def test_operations_of_a_seed_among_many(name: str, gates: int) -> None:
    """Tokens are projected as words: a product with the vocabulary, forward and twice backward.

    The state before a batch has no gradient. Batch normalisation has a few products with vectors,
    for which there is room here.
    """
    train, valid = tokens(name)
    batch = BS * VARIANTS[name].bptt
    words = VOCABULARY * gates * MAP
    of_train = (3 * gates * MAP * (batch - BS / 3) + 3 * OUTPUT * batch + 3 * words) * train / batch
    of_valid = (gates * MAP * batch + OUTPUT * batch + words) * valid / batch
    found = work_of_ensemble(VARIANTS[name], 2).operations
    assert found == pytest.approx(2 * (of_train + of_valid), rel=1e-3)


@pytest.mark.parametrize(
    ("operation", "tensors"),
    [
        (lambda a, b, _: a + b, 3),
        (lambda a, b, _: a.add_(b), 3),
        (lambda a, b, c: torch.add(a, b, out=c), 3),
        (lambda a, _, __: a.relu_(), 2),
        (lambda a, _, __: a.view(5, 6), 0),
        (lambda a, _, __: a.new_empty(6, 5), 1),
        (lambda a, b, _: a + b[:1].expand(6, 5), 2 + 1 / 6),
        (lambda a, b, _: torch.cat([a, b]), 4),
    ],
)
def test_traffic(operation: Callable[..., object], tensors: float) -> None:
    """Inputs and results count once, views not at all, expanded tensors with their true size."""
    given = [torch.ones(6, 5) for _ in range(3)]
    moved = roofline._TrafficCounter().bytes_of(lambda: operation(*given))
    assert moved == pytest.approx(tensors * 6 * 5 * 4)


def test_traffic_of_a_pointwise_step() -> None:
    """A function that is one kernel on a GPU counts as one pass, on a CPU too."""
    counter = roofline._TrafficCounter()
    step = counter.one_pass(lambda a, b: a.add_(b).mul_(b).relu_(), 3)
    given = torch.ones(3), torch.ones(3)
    assert counter.bytes_of(lambda: step(*given)) == 3 * 3 * 4
    assert counter.bytes_of(lambda: given[0].add_(given[1])) == 3 * 3 * 4


def test_traffic_grows_with_layers() -> None:
    """A second layer moves at least half as much again; twice the epochs twice as much."""
    one, two = (work_of_ensemble(VARIANTS[name], 1) for name in ("Model6", "Model5"))
    assert 1.5 * one.traffic_bytes < two.traffic_bytes < 3 * one.traffic_bytes
    again = work_of_ensemble(VARIANTS["Model6"], 2)
    assert (again.operations, again.traffic_bytes) == (2 * one.operations, 2 * one.traffic_bytes)


def test_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest call counts, but never the first one."""
    monkeypatch.setitem(roofline.PRODUCT_SIZE, "cpu", 8)
    monkeypatch.setitem(roofline.COPIED_BYTES, "cpu", 64)
    clock = iter([0, 1, 0, 5, 0, 2, 0, 4, 0, 4, 0, 4] * 2)
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    peak = measure_peak("cpu")
    assert peak.operations_per_second == 2 * 8**3 / 2
    assert peak.bytes_per_second == 2 * 64 / 2
