"""How long a run may take before it counts as hung: a large multiple of what others took."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.plan.costs import expected_cost
from bench.store.records import Run
from bench.text import counted


@dataclass(frozen=True)
class Limit:
    """The seconds after which a run is ended, and what they are based on."""

    seconds: float
    grounds: str


@dataclass
class Limits:
    """The limits of a night, from the runs that have ended in it; far beyond any contention."""

    floor_seconds: float = 600.0
    """No run is ended before this."""
    of_peers: float = 20.0
    """A multiple of the slowest run of the same variant on the same backend."""
    of_others: float = 60.0
    """If there is no such run: a multiple of the slowest other run, relative to expected costs."""
    of_nothing: float = 1000.0
    """Before any run has ended: a multiple of ``plan.expected_cost``."""
    ceiling_seconds: float = 6 * 3600.0
    start_seconds: float = 600.0
    """For a worker to become ready: it loads torch, perhaps from a slow disk."""
    _seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _slowest: float = 0.0
    """The largest ratio of a run's seconds to its expected cost."""

    def learn(self, run: Run, seconds: float) -> None:
        """Take note of a run that was trained to its end."""
        self._seconds.setdefault((run.variant, run.backend), []).append(seconds)
        self._slowest = max(self._slowest, seconds / expected_cost(run))

    def of(self, run: Run, count: int = 1) -> Limit:
        """Return how long ``count`` runs like ``run`` may take together."""
        peers = self._seconds.get((run.variant, run.backend))
        expected = count * expected_cost(run)
        if peers:
            basis = f"the slowest of its {counted(len(peers), 'peer')}"
            factor, seconds = self.of_peers, count * max(peers)
        elif self._slowest:
            basis = "what the other runs suggest"
            factor, seconds = self.of_others, expected * self._slowest
        else:
            basis = "what it should take"
            factor, seconds = min(self.of_nothing, self.ceiling_seconds / expected), expected
        limit = max(self.floor_seconds, factor * seconds)
        times = limit / max(seconds, 1e-3)
        grounds = f"no result after {limit:.0f} seconds, which is {times:.0f} times {basis}"
        return Limit(limit, grounds)
