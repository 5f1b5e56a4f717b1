"""A function over fixed tensors as a CUDA graph: first called, then captured, then replayed."""

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
    """The graph of a function on ``device``.

    On a CPU every call is an ordinary one, so that the same code runs and is tested on any device.
    """

    def __init__(self, device: torch.device) -> None:
        # One stream for all calls: cuBLAS keeps tens of megabytes per stream.
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.capture_seconds: float | None = None

    @property
    def missing(self) -> bool:
        """Whether nothing has been captured, although there is a GPU."""
        return self.stream is not None and self.graph is None

    def call(self, compute: Callable[[], Tensor]) -> Tensor:
        """Return the result of ``compute``, which must be the same function in every call.

        Later calls do not overwrite the result.
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
        # Destroying an earlier graph would break the capture (PyTorch pull request 161037).
        with no_garbage_collection():
            torch.cuda.synchronize()
            start = time.perf_counter()
            with torch.cuda.graph(graph, stream=stream):
                self.result = compute()
            torch.cuda.synchronize()
            self.capture_seconds = time.perf_counter() - start
        return graph


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect garbage now, and not again until the end."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
