"""The signals that end a command."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from bench.signals import Terminated, held, terminable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")


def test_terminable() -> None:
    """SIGTERM raises Terminated in the block, and its handler is restored afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_terminal_that_is_closed() -> None:
    """SIGHUP is ignored in the block and in processes started there, and restored afterwards."""
    before = signal.getsignal(signal.SIGHUP)
    with terminable():
        signal.raise_signal(signal.SIGHUP)
        subprocess.run(["sh", "-c", "kill -HUP $$"], check=True)
    assert signal.getsignal(signal.SIGHUP) == before


def test_terminated_by_another_name() -> None:
    """SIGTERM is still told from Ctrl-C after its exception became a KeyboardInterrupt."""

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None

    with pytest.raises(Terminated), terminable():
        work()
    with pytest.raises(KeyboardInterrupt) as caught, terminable():
        raise KeyboardInterrupt
    assert caught.type is KeyboardInterrupt


def raise_held(*numbers: int) -> list[str]:
    """Raise signals in nested blocks; return the events after each."""
    done = []
    try:
        with terminable(), held():
            with held():
                for number in numbers:
                    signal.raise_signal(number)
                done.append("inner block")
            done.append("outer block")
    except Terminated:
        done.append("terminated")
    except KeyboardInterrupt:
        done.append("interrupted")
    return done


@pytest.mark.parametrize(
    ("numbers", "end"),
    [
        ([signal.SIGINT], "interrupted"),
        ([signal.SIGTERM], "terminated"),
        ([signal.SIGTERM, signal.SIGINT], "terminated"),
        ([signal.SIGINT, signal.SIGTERM], "interrupted"),
    ],
)
def test_held(numbers: list[int], end: str) -> None:
    """Signals wait until the outermost block is done; of several only the first is raised."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert raise_held(*numbers) == ["inner block", "outer block", end]
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads() -> None:
    """In other threads, which get no signals, the blocks do nothing."""
    done = []

    def work() -> None:
        with terminable(), held():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
