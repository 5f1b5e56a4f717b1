"""Which backends can run here, and what executes a variant on them."""

from __future__ import annotations

from bench.backends import IMPLEMENTATIONS
from bench.plan.grid import BACKENDS
from hnrnn.variants import Variant


def why_unavailable(backend: str, device: str) -> str | None:
    """Return what a backend needs to run on ``cpu`` or ``cuda``; None if it can run."""
    return None if BACKENDS[backend].joint else IMPLEMENTATIONS[backend].why_unavailable(device)


def why_switched_off(backend: str) -> str | None:
    """Return the setting that keeps a backend from running in this process, or None."""
    return None if BACKENDS[backend].joint else IMPLEMENTATIONS[backend].why_switched_off()


def kernel_of(variant: Variant, backend: str, device: str) -> str:
    """Return the name of what executes the recurrence of ``variant``."""
    if BACKENDS[backend].joint:
        from bench.ensemble import stepping  # only such a run imports this code

        return stepping.kernel_of(device)
    return IMPLEMENTATIONS[backend].kernel(variant, device)
