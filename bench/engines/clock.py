"""A clock that stands still while the whole machine is paused."""

from __future__ import annotations

import time
from collections.abc import Callable


class AwakeClock:
    """Seconds that a loop has spent in its rounds, each counting for ``most_seconds`` at most.

    A machine that is suspended stops this process together with its workers, so that time is not
    held against a run; nor is the time in which a disk does not answer.
    """

    def __init__(self, most_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most_seconds, self.now = most_seconds, now
        self.seconds = 0.0
        self.last = now()

    def tick(self) -> None:
        """Count the time since the last call; call it once in every round of the loop."""
        now = self.now()
        self.seconds += min(now - self.last, self.most_seconds)
        self.last = now
