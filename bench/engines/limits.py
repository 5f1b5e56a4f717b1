"""How long a run may take before it is held to hang: a large multiple of what others took."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.plan.plan import expected_cost
from bench.store.records import Run


@dataclass(frozen=True)
class Limit:
    """After how many seconds a run is ended, and what was measured for that."""

    seconds: float
    grounds: str


@dataclass
class Limits:
    """The limits of a night, from the runs that have ended in it.

    A machine that is slow is slow for the others too, so that the limit is a multiple of theirs;
    one that is slow for a while has the floor, and factors that are far beyond any contention.
    """

    floor_seconds: float = 600.0
    """No run is ended earlier."""
    of_peers: float = 20.0
    """Times the slowest of the runs of the same variant on the same backend."""
    of_others: float = 60.0
    """Where there are no peers: times the slowest of the others, each over its expected cost."""
    of_nothing: float = 1000.0
    """Where no run has ended yet: seconds for each second of ``plan.expected_cost``."""
    ceiling_seconds: float = 6 * 3600.0
    """No runs go on longer where none has ended yet: many together take less than their sum."""
    start_seconds: float = 600.0
    """How long a worker may take until it is ready: it loads torch, from a slow disk perhaps."""
    _seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    _slowest: float = 0.0
    """Seconds over expected cost."""

    def learn(self, run: Run, seconds: float) -> None:
        """Take note of a run that has gone to its end."""
        self._seconds.setdefault((run.variant, run.backend), []).append(seconds)
        self._slowest = max(self._slowest, seconds / expected_cost(run))

    def of(self, run: Run, count: int = 1) -> Limit:
        """Return how long ``count`` runs like ``run`` may take together, by what is known now."""
        peers = self._seconds.get((run.variant, run.backend))
        if peers:
            slowest = count * max(peers)
            known = f"{len(peers)} peers" if len(peers) > 1 else "1 peer"
            return self._limit(self.of_peers, slowest, f"the slowest of its {known}")
        if self._slowest:
            scaled = count * self._slowest * expected_cost(run)
            return self._limit(self.of_others, scaled, "what the other runs let expect")
        expected = count * expected_cost(run)
        factor = min(self.of_nothing, self.ceiling_seconds / expected)
        return self._limit(factor, expected, "what such a run takes elsewhere")

    def of_start(self) -> Limit:
        """Return how long a worker may take until it is ready."""
        return Limit(self.start_seconds, f"not ready after {self.start_seconds:.0f} seconds")

    def _limit(self, factor: float, seconds: float, of_what: str) -> Limit:
        limit = max(self.floor_seconds, factor * seconds)
        times = limit / max(seconds, 1e-3)
        return Limit(limit, f"no end after {limit:.0f} seconds, {times:.0f} times {of_what}")
