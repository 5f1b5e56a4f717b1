"""SIGINT and SIGTERM: both end a command in order, and wait while a record is written."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: like Ctrl-C, but for what is said of it."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated where SIGTERM comes, in the main thread; elsewhere nothing is changed.

    SIGHUP is ignored, here and in the processes that are started: hours of training do not end with
    the terminal that they were started from.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def terminate(number: int, _: FrameType | None) -> None:
        came.append(number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN) if os.name == "posix" else None
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if came and not isinstance(interrupt, Terminated):
            raise Terminated from None  # compiled code, Ray's, makes of it what it knows
        raise
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        if os.name == "posix":
            signal.signal(signal.SIGHUP, hang_up or signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait until the block is done; the first that came is then raised."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: waiting.append(number))
        for number in NUMBERS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if waiting:
            signal.raise_signal(waiting[0])
