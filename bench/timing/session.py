"""Timing of one configuration: blocks of steps between two synchronisations.

``train_step`` is forward, loss, backward and optimizer; ``forward`` is the forward alone, in
training mode; ``validation`` is forward, loss and the number of correct predictions in evaluation
mode, without gradients. A step is one batch of bs * bptt tokens.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import torch
from torch import Tensor

from bench.backends import IMPLEMENTATIONS
from bench.backends.graphed import GraphedStep
from bench.timing.roofline import synchronise
from hnrnn.metrics import LOSSES, correct
from hnrnn.optimizer import BETAS, adamw, schedules
from hnrnn.stream import language_model_data
from hnrnn.variants import Variant
from hnrnn.weights import DTYPES, initial_model

PHASES = ("train_step", "forward", "validation")


@dataclass(frozen=True)
class Block:
    """The seconds of a number of steps; ``device_seconds`` is None on a CPU."""

    steps: int
    wall_seconds: float
    device_seconds: float | None


class Session:
    """A variant on a backend, ready to run steps of any phase."""

    def __init__(self, variant: Variant, backend: str, device: str, dtype: str = "float32") -> None:
        self.variant, self.implementation = variant, IMPLEMENTATIONS[backend]
        self.device, self.loss = device, LOSSES[variant.loss]
        model = initial_model(variant, seed=0).to(device=device, dtype=DTYPES[dtype])
        self.tokens_per_step = model.batch_size * variant.bptt
        self.model = self.implementation.convert(variant, model)
        batches = language_model_data(variant.bptt, model.batch_size, device)
        self.train_batches, self.valid_batches = cycle(batches.train), cycle(batches.valid)
        self.learning_rate = schedules(variant, len(batches.train))["lr"](0)
        self.optimizer = adamw(self.model.parameters(), lr=self.learning_rate)
        self.graphed_step: GraphedStep | None = None
        if self.implementation.graphed:
            self.graphed_step = GraphedStep(self.model, self.loss)
        self.right: Tensor | None = None

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases to time: for a graphed backend only the training step, which is captured."""
        return PHASES[:1] if self.implementation.graphed else PHASES

    def run(self, phase: str, steps: int) -> Block:
        """Run ``steps`` of a phase between two synchronisations, and return their time."""
        step = self.step(phase)
        with self.implementation.settings():
            synchronise(self.device)
            make: Any = torch.cuda.Event
            events = [make(enable_timing=True) for _ in range(2)] if self.device == "cuda" else []
            start = time.perf_counter()
            if events:
                events[0].record()
            for _ in range(steps):
                step()
            if events:
                events[1].record()
            synchronise(self.device)
            wall_seconds = time.perf_counter() - start
        device_seconds = events[0].elapsed_time(events[1]) / 1000 if events else None
        return Block(steps, wall_seconds, device_seconds)

    def peak_memory_bytes(self) -> int:
        """Return the largest amount of memory that a training step allocates while it runs.

        For a graphed step call this after exactly ``WARM_UP_CALLS`` training steps: the memory of
        the capture is measured, because the graph keeps it.
        """
        step = self.step("train_step")
        with self.implementation.settings():
            if self.device != "cuda":
                return _peak_of_allocations(step)
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            step()
            torch.cuda.synchronize()
            return torch.cuda.max_memory_allocated() - before

    def step(self, phase: str) -> Callable[[], None]:
        """Put the model in the mode of a phase, and return a function that does one step.

        Call it inside the implementation's settings; it does not wait for a GPU.
        """
        self.model.train(phase != "validation")
        return {
            "train_step": self._train_step,
            "forward": self._forward,
            "validation": self._validation,
        }[phase]

    def _train_step(self) -> None:
        x, y = next(self.train_batches)
        if self.graphed_step:
            self.graphed_step(x, y, self.learning_rate, BETAS[0])
            return
        self.loss(self.model(x), y).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _forward(self) -> None:
        x, _ = next(self.train_batches)
        self.model(x)

    @torch.no_grad()
    def _validation(self) -> None:
        x, y = next(self.valid_batches)
        scores = self.model(x)
        self.loss(scores, y)
        self.right, _ = correct(scores, y)


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Forget all compiled code, in memory and on disk, so that compiling takes its full time."""
    import torch._dynamo  # slow to load, and needed only here
    from torch._inductor.utils import fresh_cache

    torch._dynamo.reset()
    with fresh_cache():
        yield


def _peak_of_allocations(step: Callable[[], None]) -> int:
    """Return the peak of the memory that torch allocates during ``step``, in bytes."""
    with torch.autograd.profiler.profile(use_device=None, profile_memory=True) as profile:
        step()
    events = [e for e in profile.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
