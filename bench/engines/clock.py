"""Time in which a run could go on: what stops the whole machine is no run's fault."""

from __future__ import annotations

import time
from collections.abc import Callable


class AwakeClock:
    """Seconds in which this process went round its loop.

    A laptop that is suspended, a container that is stopped and a virtual machine that is paused
    stop this process with its workers: the time until it goes on does not count. Nor does the time
    in which a disk does not answer. A worker that stands still alone does not stop this clock.
    """

    def __init__(self, most_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self.most_seconds, self.now = most_seconds, now
        """What a round of the loop counts for at most."""
        self.seconds = 0.0
        self.last = now()

    def tick(self) -> None:
        """Count the time since the last call; called once in every round of the loop."""
        now = self.now()
        self.seconds += min(now - self.last, self.most_seconds)
        self.last = now
