"""The same timing by pytest-benchmark: ``pytest bench``, with ``--benchmark-json FILE`` to keep it.

A test is one variant on one backend in one phase, so that ``-k "Model5 and train_step"`` picks
some. pytest-benchmark times them one after the other: where backends are to be compared, ``python
-m bench throughput`` interleaves them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.backends import IMPLEMENTATIONS
from bench.environment import find_device, reproducible_settings
from bench.grid import BACKENDS
from bench.parity import check
from bench.timing import PHASES, Session
from hnrnn.variants import VARIANTS

DEVICE = find_device("auto")
WARM_UP_STEPS = 4
"""One more than a CUDA graph takes before it is captured."""
STEPS = 10
"""Steps between two synchronisations."""
ROUNDS = 20

SQUARES = [
    (variant.name, backend)
    for variant in VARIANTS.values()
    for backend in BACKENDS
    if BACKENDS[backend].executes(variant)
]


@pytest.fixture(scope="module", params=SQUARES, ids="-".join)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a square that has passed the parity gate; skip what cannot run here."""
    variant, backend = request.param
    obstacle = IMPLEMENTATIONS[backend].obstacle(DEVICE)
    if obstacle:
        pytest.skip(f"{backend} {obstacle}")
    with reproducible_settings():
        parity = check(VARIANTS[variant], backend, DEVICE)
        assert parity.passed, "; ".join(parity.failures)
        yield Session(VARIANTS[variant], backend, DEVICE)


@pytest.mark.parametrize("phase", PHASES)
def test_throughput(session: Session, phase: str, benchmark: Any) -> None:
    """Blocks of steps of one phase."""
    if phase not in session.phases:
        pytest.skip("only the training step is captured in a graph")
    session.run(phase, WARM_UP_STEPS)
    benchmark.extra_info["tokens"] = STEPS * session.tokens_per_step
    benchmark.extra_info["steps"] = STEPS
    benchmark.pedantic(session.run, args=(phase, STEPS), rounds=ROUNDS)
