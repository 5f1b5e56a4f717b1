"""SIGINT and SIGTERM: both end a command cleanly, and wait while a record is written."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HANG_UP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []


class Terminated(KeyboardInterrupt):
    """SIGTERM was received. It ends a command like Ctrl-C, with another exit code."""


@contextmanager
def handled(*numbers: int, handler: Any) -> Iterator[None]:
    """Handle signals by ``handler`` in the block; do nothing outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous or signal.SIG_DFL)


@contextmanager
def terminable() -> Iterator[None]:
    """Raise Terminated on SIGTERM, and ignore SIGHUP, here and in the processes started here."""
    received: list[int] = []

    def terminate(number: int, _: FrameType | None) -> None:
        received.append(number)
        raise Terminated

    try:
        with handled(signal.SIGTERM, handler=terminate), handled(*HANG_UP, handler=signal.SIG_IGN):
            yield
    except KeyboardInterrupt as interrupt:
        if received and not isinstance(interrupt, Terminated):
            raise Terminated from None  # Ray's compiled code turns it into a KeyboardInterrupt
        raise


@contextmanager
def held() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block has ended; then raise the first one received."""
    waiting: list[int] = []

    def wait(number: int, _: FrameType | None) -> None:
        waiting.append(number)

    try:
        with handled(signal.SIGINT, signal.SIGTERM, handler=wait):
            yield
    finally:
        if waiting:
            signal.raise_signal(waiting[0])
