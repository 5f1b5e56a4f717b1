"""What runs cost: seconds and memory, as measured on one core of an AMD EPYC with torch 2.13.0.

The seconds are those of a quiet machine: the notebook's own backends and the ensemble by ``bench
ensemble-timing``, and the others by their ratios in ``bench throughput`` and the published runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bench.plan.grid import reference_backend
from bench.store.records import ENSEMBLE, Run
from hnrnn.variants import VARIANTS

MEASURED_ON = "an AMD EPYC core"
SECONDS: Mapping[str, tuple[float | None, ...]] = MappingProxyType(
    {
        "nn": (None, None, None, None, 2.3, 3.8, 2.0, 1.9),
        "cell": (None, None, None, None, 2.3, 3.8, 2.3, 2.0),
        "custom": (1.5, 1.5, 1.3, 2.5, 2.5, 4.1, 2.3, 2.4),
        "custom_hoisted": (1.4, 1.4, 1.0, 2.0, 2.2, 2.8, 1.7, 1.7),
        "compiled": (1.6, 1.5, 1.0, 1.7, 2.2, 2.9, 1.7, 1.7),
        ENSEMBLE: (0.21, 0.20, 0.38, 0.76, 0.77, 2.0, 0.91, 0.89),
    }
)
"""Seconds of one seed of ``Model0`` to ``Model7`` by the full recipe; None where it cannot run."""
ON_GPU_ONLY: Mapping[str, float] = MappingProxyType(
    {"nn_no_cudnn": 1.0, "graphed": 0.3, "graphed_loop": 0.4}
)
"""Guessed costs relative to the reference backend, to order the runs; they are in no estimate."""
_FIRST_SECONDS: Mapping[str, float] = MappingProxyType({"compiled": 8.0})
_MEMORY_BYTES: Mapping[str, int] = MappingProxyType({"compiled": 850 * 2**20})


def first_seconds(backend: str) -> float:
    """Return the seconds that a worker's first run of a variant takes beyond a later one's."""
    return _FIRST_SECONDS.get(backend, 1.0)


def memory_bytes(backend: str) -> int:
    """Return the most memory that a worker on a CPU has held."""
    return _MEMORY_BYTES.get(backend, 650 * 2**20)


def expected_cost(run: Run) -> float:
    """Return roughly how long a run takes, in seconds of the processor named above."""
    variant, factor = VARIANTS[run.variant], ON_GPU_ONLY.get(run.backend, 1.0)
    backend = reference_backend(variant) if run.backend in ON_GPU_ONLY else run.backend
    seconds = SECONDS[backend][[*VARIANTS].index(run.variant)]
    assert seconds is not None  # noqa: S101  # a backend that executes the variant
    return factor * seconds * run.epochs / variant.epochs
