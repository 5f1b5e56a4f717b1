"""What a worker process does, from its first line to its last. It loads little by itself."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait

from bench.engines.work import Lost, Ready, Task, Trained, Trainer, describe
from hnrnn.program import accept_warnings


def serve(
    connection: Connection, trainer: Trainer, device: str, injected_fault: str | None
) -> None:
    """Be a worker: say that it is ready, then train what comes and send back its records.

    It ends when the pipe or the parent does, and where a run leaves it good for nothing more.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    accept_warnings()
    _share_no_semaphore()
    try:
        connection.send(Ready(trainer.read_environment(device, injected_fault)))
        for task in iter(partial(_received, connection), None):
            connection.send(Trained(trainer.carry_out(task)))
    except Exception as error:  # noqa: BLE001  # whatever it is, it ends this process only
        connection.send(Lost(describe(error)))


def _received(connection: Connection) -> Task | None:
    """Return the next task; None where the other side has closed the pipe."""
    try:
        task: Task = connection.recv()
    except EOFError:
        return None
    return task


def _share_no_semaphore() -> None:
    """Give tqdm, by which torch's compiler counts, a lock of this process alone.

    Its own is a semaphore of the system's, which a worker that is killed would leave behind, and
    Python would warn of.
    """
    with suppress(ImportError):  # torch does without it
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())


def _end_with_parent() -> None:
    """End this process when its parent is no more, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # it is a worker's
    wait([parent.sentinel])
    os._exit(1)
