"""A function is called, captured and replayed, with a stand-in for a GPU's graphs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch import Tensor

from bench.backends.cuda_graph import WARM_UP_CALLS, CudaGraph, no_garbage_collection


class StandInGraph:
    """Counts the replays of a graph."""

    itself: StandInGraph

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        """Count."""
        self.replays += 1


class StandInStream:
    """A stream without work."""

    made = 0

    def __init__(self, _: torch.device | None = None) -> None:
        type(self).made += 1

    def wait_stream(self, _: StandInStream) -> None:
        """Wait for nothing."""


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Replace CUDA by stand-ins; return for each capture whether garbage collection was enabled."""
    found: list[bool] = []

    @contextmanager
    def capture(_: StandInGraph, stream: StandInStream) -> Iterator[None]:
        assert isinstance(stream, StandInStream)
        found.append(gc.isenabled())
        yield

    current = StandInStream()
    monkeypatch.setattr(StandInStream, "made", 0)
    monkeypatch.setattr(torch.cuda, "Stream", StandInStream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: current)
    monkeypatch.setattr(torch.cuda, "stream", nullcontext)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", StandInGraph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return found


def test_one_capture_then_replays(captures: list[bool]) -> None:
    """The function runs while it warms up and is captured; after that it is only replayed."""
    graph, calls = CudaGraph(torch.device("cuda")), []

    def compute() -> Tensor:
        calls.append(len(calls))
        return torch.tensor(float(len(calls)))

    results = [graph.call(compute) for _ in range(WARM_UP_CALLS + 4)]
    assert len(calls) == WARM_UP_CALLS + 1
    assert len(captures) == 1
    assert isinstance(graph.graph, StandInGraph)
    assert graph.graph.replays == 4
    assert graph.capture_seconds is not None
    assert results[-1] is not results[-2]  # the graph writes into one tensor again and again
    assert results[-1] is not graph.result


def test_no_garbage_is_collected_during_a_capture(captures: list[bool]) -> None:
    """Garbage collection is off during a capture, and on again afterwards."""
    assert gc.isenabled()
    graph = CudaGraph(torch.device("cuda"))
    for _ in range(WARM_UP_CALLS):
        graph.call(lambda: torch.zeros(()))
    with pytest.raises(ZeroDivisionError):
        graph.call(lambda: torch.zeros(1 // 0))
    assert captures == [False]
    assert gc.isenabled()


@pytest.mark.usefixtures("captures")
def test_earlier_graphs_are_gone_before_a_capture() -> None:
    """Graphs that only the garbage collector can destroy are destroyed before a capture."""
    graph = CudaGraph(torch.device("cuda"))
    for _ in range(WARM_UP_CALLS):
        graph.call(lambda: torch.zeros(()))
    earlier = StandInGraph()
    earlier.itself = earlier
    there = weakref.ref(earlier)
    del earlier
    found: list[object] = []
    graph.call(lambda: found.append(there()) or torch.zeros(()))  # type: ignore[func-returns-value]
    assert found == [None]


@pytest.mark.usefixtures("captures")
def test_one_stream_for_all_warm_up_calls() -> None:
    """CuBLAS keeps a workspace for every stream that it has been called on."""
    graph = CudaGraph(torch.device("cuda"))
    for _ in range(WARM_UP_CALLS + 1):
        graph.call(lambda: torch.zeros(()))
    assert StandInStream.made == 1


def test_on_a_cpu_every_call_is_made() -> None:
    """On a CPU nothing is captured."""
    graph, calls = CudaGraph(torch.device("cpu")), []
    for _ in range(WARM_UP_CALLS + 2):
        graph.call(lambda: calls.append(0) or torch.zeros(()))  # type: ignore[func-returns-value]
    assert len(calls) == WARM_UP_CALLS + 2
    assert graph.capture_seconds is None


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_restored(enabled: bool) -> None:  # noqa: FBT001  # a parameter
    """Garbage is not collected inside; afterwards, also after an exception, all is as before."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()

        def fails() -> None:
            with no_garbage_collection():
                assert not gc.isenabled()
                raise KeyError

        with pytest.raises(KeyError):
            fails()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if was else gc.disable)()
