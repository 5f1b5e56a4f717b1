"""The same timing by pytest-benchmark: ``pytest bench``, with ``--benchmark-autosave`` to keep it.

A test is one variant on one backend in one phase, and an operation is one step. A group is a
variant and a phase, so that a table compares the backends. Its rows are timed one after the other:
``python -m bench throughput`` interleaves them. The ensemble is left out: its step trains many
seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from bench.backends import IMPLEMENTATIONS
from bench.backends.cuda_graph import WARM_UP_CALLS
from bench.execution.environment import find_device, reproducible_settings
from bench.execution.parity import check
from bench.plan.grid import BACKENDS
from bench.timing.roofline import synchronise
from bench.timing.session import PHASES, Session
from hnrnn.variants import VARIANTS

DEVICE = find_device("auto")
STEPS = 10
ROUNDS = 20

CONFIGURATIONS = [
    (variant.name, backend)
    for variant in VARIANTS.values()
    for backend in BACKENDS
    if BACKENDS[backend].executes(variant) and not BACKENDS[backend].joint
]


@pytest.fixture(scope="module", params=CONFIGURATIONS, ids="-".join)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a configuration that has passed the parity gate; skip what cannot run here."""
    variant, backend = request.param
    reason = IMPLEMENTATIONS[backend].why_unavailable(DEVICE)
    if reason:
        pytest.skip(f"{backend} {reason}")
    with reproducible_settings():
        parity = check(VARIANTS[variant], backend, DEVICE)
        assert parity.passed, "; ".join(parity.failures)
        yield Session(VARIANTS[variant], backend, DEVICE)


def synchronised_clock() -> float:
    """Return the time in seconds, once the device has done all that it was given."""
    synchronise(DEVICE)
    return time.perf_counter()


@pytest.mark.benchmark(timer=synchronised_clock)
@pytest.mark.parametrize("phase", PHASES)
def test_throughput(session: Session, phase: str, benchmark: Any) -> None:
    """Steps of one phase, in blocks between two readings of the clock."""
    if phase not in session.phases:
        pytest.skip("only the training step is captured in a graph")
    session.run(phase, WARM_UP_CALLS)
    benchmark.group = f"{session.variant.name} {phase}"
    benchmark.extra_info["tokens_per_step"] = session.tokens_per_step
    if phase == "train_step":
        benchmark.extra_info["peak_memory_bytes"] = session.peak_memory_bytes()
    session.run(phase, 1)
    with session.implementation.settings():
        benchmark.pedantic(session.step(phase), rounds=ROUNDS, iterations=STEPS)
