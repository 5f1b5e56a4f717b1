"""What a worker process does from its start to its end. This module loads little by itself."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait

from bench.engines.tasks import Task
from bench.engines.work import Lost, Ready, Trained, Trainer, describe
from hnrnn.program import accept_warnings


def serve(
    connection: Connection, trainer: Trainer, device: str, injected_fault: str | None
) -> None:
    """Be a worker: say that it is ready, then train each task that comes and send its records.

    It ends with the pipe or the parent, or when a task leaves the process unusable.
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
    """Return the next task; None if the other side has closed the pipe."""
    try:
        task: Task = connection.recv()
    except EOFError:
        return None
    return task


def _share_no_semaphore() -> None:
    """Give tqdm, which torch's compiler uses, a lock of this process alone.

    Its own lock is a semaphore of the system. A killed worker would leave that behind, and Python
    would warn of it.
    """
    with suppress(ImportError):  # torch works without it
        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())


def _end_with_parent() -> None:
    """End this process when its parent has ended, however that happened."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker has one
    wait([parent.sentinel])
    os._exit(1)
