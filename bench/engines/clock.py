"""Time in which a run could make progress: a pause of the whole machine is no run's fault."""

from __future__ import annotations

import time
from collections.abc import Callable


class AwakeClock:
    """Seconds in which this process went round its loop.

    A suspended laptop, a stopped container or a paused virtual machine stops this process together
    with its workers: that time does not count, nor does the time in which a disk does not answer. A
    worker that hangs alone does not stop this clock.
    """

    def __init__(self, most_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most_seconds, self.now = most_seconds, now
        """The most that a round of the loop counts for."""
        self.seconds = 0.0
        self.last = now()

    def tick(self) -> None:
        """Count the time since the last call; called once in every round of the loop."""
        now = self.now()
        self.seconds += min(now - self.last, self.most_seconds)
        self.last = now
