"""How long a run may take before it counts as hung: a large multiple of what others took."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.plan.plan import expected_cost
from bench.store.records import Run
from bench.text import counted


@dataclass(frozen=True)
class Limit:
    """After how many seconds a run is ended, and what that is based on."""

    seconds: float
    grounds: str


@dataclass
class Limits:
    """The limits of a night, from the runs that have ended in it.

    A slow machine is slow for all runs, so the limit is a multiple of what others took. The floor,
    and factors far beyond any contention, allow for a machine that is slow for a while.
    """

    floor_seconds: float = 600.0
    """No run is ended before this."""
    of_peers: float = 20.0
    """Times the slowest run of the same variant on the same backend."""
    of_others: float = 60.0
    """Without such peers: times the slowest of the other runs, each over its expected cost."""
    of_nothing: float = 1000.0
    """Before any run has ended: seconds per second of ``plan.expected_cost``."""
    ceiling_seconds: float = 6 * 3600.0
    """The most before any run has ended: many runs together take less than their sum."""
    start_seconds: float = 600.0
    """For a worker to become ready: it loads torch, perhaps from a slow disk."""
    _seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _slowest: float = 0.0
    """Seconds over expected cost."""

    def learn(self, run: Run, seconds: float) -> None:
        """Take note of a run that was trained to its end."""
        self._seconds.setdefault((run.variant, run.backend), []).append(seconds)
        self._slowest = max(self._slowest, seconds / expected_cost(run))

    def of(self, run: Run, count: int = 1) -> Limit:
        """Return how long ``count`` runs like ``run`` may take together, as far as is known."""
        peers = self._seconds.get((run.variant, run.backend))
        if peers:
            slowest = count * max(peers)
            known = f"the slowest of its {counted(len(peers), 'peer')}"
            return self._limit(self.of_peers, slowest, known)
        if self._slowest:
            scaled = count * self._slowest * expected_cost(run)
            return self._limit(self.of_others, scaled, "what the other runs suggest")
        expected = count * expected_cost(run)
        factor = min(self.of_nothing, self.ceiling_seconds / expected)
        return self._limit(factor, expected, "what it should take")

    def of_start(self) -> Limit:
        """Return how long a worker may take to become ready."""
        return Limit(self.start_seconds, f"not ready after {self.start_seconds:.0f} seconds")

    def _limit(self, factor: float, seconds: float, of_what: str) -> Limit:
        limit = max(self.floor_seconds, factor * seconds)
        times = limit / max(seconds, 1e-3)
        grounds = f"no result after {limit:.0f} seconds, which is {times:.0f} times {of_what}"
        return Limit(limit, grounds)
