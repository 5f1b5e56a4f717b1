"""SIGINT and SIGTERM: both end a command cleanly, and wait while a record is written."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. It ends a command like Ctrl-C, with another exit code."""


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated on SIGTERM, and ignore SIGHUP; do nothing outside the main thread.

    SIGHUP is ignored by the processes started here too, so that hours of training do not end with
    their terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def terminate(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_IGN) if os.name == "posix" else None
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if received and not isinstance(interrupt, Terminated):
            raise Terminated from None  # Ray's compiled code turns it into a KeyboardInterrupt
        raise
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
        if os.name == "posix":
            signal.signal(signal.SIGHUP, hang_up or signal.SIG_DFL)


@contextmanager
def held() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block has ended; then raise the first one received."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = {n: signal.signal(n, lambda number, _: waiting.append(number)) for n in NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if waiting:
            signal.raise_signal(waiting[0])
