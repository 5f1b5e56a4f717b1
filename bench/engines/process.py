"""The life of a worker process. This module loads little by itself."""

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
    """Report that this worker is ready, then train each task that comes and send its records.

    Returns when the pipe is closed, or when a task has left the process unusable. The process also
    ends with its parent.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    accept_warnings()
    with suppress(ImportError):  # torch works without tqdm
        from tqdm import tqdm

        # Its own lock is a semaphore of the system, which stays if the worker is killed.
        tqdm.set_lock(threading.RLock())
    try:
        connection.send(Ready(trainer.read_environment(device, injected_fault)))
        for task in iter(partial(_received, connection), None):
            connection.send(Trained(trainer.carry_out(task)))
    except Exception as error:  # noqa: BLE001  # any error ends this process only
        connection.send(Lost(describe(error)))


def _received(connection: Connection) -> Task | None:
    try:
        task: Task = connection.recv()
    except EOFError:
        return None
    return task


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker has a parent
    wait([parent.sentinel])
    os._exit(1)
