"""What can run on this machine, and what then executes it: one answer for every backend."""

from __future__ import annotations

from bench.backends import IMPLEMENTATIONS
from bench.plan.grid import BACKENDS
from hnrnn.variants import Variant


def why_unavailable(backend: str, device: str) -> str | None:
    """Return why a backend cannot run on ``cpu`` or ``cuda``, and what it needs; None if it can."""
    return None if BACKENDS[backend].joint else IMPLEMENTATIONS[backend].why_unavailable(device)


def why_switched_off(backend: str) -> str | None:
    """Return what keeps a backend from executing anything in this process; None if nothing does."""
    return None if BACKENDS[backend].joint else IMPLEMENTATIONS[backend].why_switched_off()


def kernel_of(variant: Variant, backend: str, device: str) -> str:
    """Return what executes the recurrence of ``variant`` there."""
    if BACKENDS[backend].joint:
        from bench.ensemble import stepping  # only such a run imports this code

        return stepping.kernel_of(device)
    return IMPLEMENTATIONS[backend].kernel(variant, device)
