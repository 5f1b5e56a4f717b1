"""A function over fixed tensors as a CUDA graph: called as it is at first, captured, then replayed.

A graph replays the kernels that were recorded, on the memory that they were recorded with: one
launch instead of hundreds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

WARM_UP_CALLS = 3
"""Calls before the capture, in which libraries allocate and compile what they need."""


class CudaGraph:
    """What is captured on ``device``; on a CPU every call is made as it is.

    So the code around it is the same everywhere, and can be tested anywhere.
    """

    def __init__(self, device: torch.device) -> None:
        # One stream for all: cuBLAS keeps tens of megabytes for each that it has been called on.
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.capture_seconds: float | None = None

    @property
    def missing(self) -> bool:
        """Whether there is a GPU, and nothing has been captured on it."""
        return self.stream is not None and self.graph is None

    def call(self, compute: Callable[[], Tensor]) -> Tensor:
        """Do what ``compute`` does and return its result, which the next call leaves as it is.

        All calls must be given the same function; the graph does not keep it.
        """
        if self.stream is None:
            return compute()
        self.calls += 1
        if self.calls <= WARM_UP_CALLS:
            return self._warm_up(self.stream, compute)
        if self.graph is None:
            self.graph = self._capture(self.stream, compute)
        self.graph.replay()
        return self.result.clone()

    def _warm_up(self, stream: torch.cuda.Stream, compute: Callable[[], Tensor]) -> Tensor:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            result = compute()
        torch.cuda.current_stream().wait_stream(stream)
        return result

    def _capture(
        self, stream: torch.cuda.Stream, compute: Callable[[], Tensor]
    ) -> torch.cuda.CUDAGraph:
        """Record the function without running it."""
        graph = torch.cuda.CUDAGraph()
        with _nothing_destroyed():
            torch.cuda.synchronize()
            start = time.perf_counter()
            with torch.cuda.graph(graph, stream=stream):
                self.result = compute()
            torch.cuda.synchronize()
            self.capture_seconds = time.perf_counter() - start
        return graph


@contextmanager
def _nothing_destroyed() -> Iterator[None]:
    """Collect garbage first, and none meanwhile.

    An earlier graph that is destroyed during a capture breaks it (PyTorch pull request 161037).
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
