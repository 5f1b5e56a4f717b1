"""The engine ``local``: runs in worker processes on this machine.

Each worker has a pipe of its own. Workers that share one behind a lock would all be stuck if one
of them were killed while it holds the lock.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from bench.engines.ledger import Ledger
from bench.engines.process import serve
from bench.engines.schedule import Schedule
from bench.engines.tasks import Task
from bench.engines.work import Display, Finished, Lost, Message, Site, Trainer
from bench.signals import handled
from bench.store.records import Run

STOP_SECONDS = 5.0
"""How long to wait for the end of a killed process, which the system may hold back."""


def survey(device: str, injected_fault: str | None) -> Site:
    """Return what this machine has; raise UsageError if it does not have the device."""
    from bench.execution.environment import find_device  # loads torch

    found = find_device(device)
    environment = Trainer().read_environment(found, injected_fault)
    return Site(found, environment, 1 if found == "cuda" else usable_processors())


def usable_processors() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_all(
    runs: Sequence[Run], trainer: Trainer, ledger: Ledger, *, jobs: int, display: Display
) -> list[Finished]:
    """Train a plan's ``runs`` in ``jobs`` worker processes, as ``Schedule.carry_out`` does."""
    trainer = replace(trainer, gpu_share=1 / jobs)  # all on one GPU, if there is one
    pool = LocalPool(trainer, runs[0].device, runs[0].injected_fault)
    return Schedule(pool, ledger, jobs=jobs, display=display).carry_out(runs)


class LocalWorker:
    """A process, and the pipe to it."""

    def __init__(self, trainer: Trainer, device: str, injected_fault: str | None) -> None:
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self.connection, others = context.Pipe()
        self.process = context.Process(target=serve, args=(others, trainer, device, injected_fault))
        with handled(signal.SIGINT, handler=signal.SIG_IGN):  # Ctrl-C reaches the process too
            self.process.start()
        others.close()  # so that the pipe ends when the process does

    def start(self, task: Task) -> None:
        with suppress(OSError):  # it has died since; ``receive`` will report that
            self.connection.send(task)

    def stop(self) -> None:
        self.process.kill()
        self.process.join(STOP_SECONDS)
        self.connection.close()

    def receive(self) -> Message:
        try:
            message: Message = self.connection.recv()  # also what a dead process has sent
        except (EOFError, OSError):
            self.process.join(STOP_SECONDS)
            message = Lost(_end_of(self.process.exitcode))
        if isinstance(message, Lost):
            self.stop()
        return message


class LocalPool:
    """The worker processes."""

    waits_for_room = False

    def __init__(self, trainer: Trainer, device: str, injected_fault: str | None) -> None:
        self.arguments = (trainer, device, injected_fault)
        self.workers: list[LocalWorker] = []

    def start_worker(self) -> LocalWorker:
        worker = LocalWorker(*self.arguments)
        self.workers.append(worker)
        return worker

    def receive(self, seconds: float) -> list[tuple[LocalWorker, Message]]:
        self.workers = [worker for worker in self.workers if not worker.connection.closed]
        sources: dict[Any, LocalWorker] = {worker.connection: worker for worker in self.workers}
        sources |= {worker.process.sentinel: worker for worker in self.workers}
        ready = dict.fromkeys(sources[source] for source in wait(list(sources), seconds))
        return [(worker, worker.receive()) for worker in ready]


def _end_of(exit_code: int | None) -> str:
    if exit_code is None:
        return "its worker closed its pipe and did not end"
    if exit_code >= 0:
        return f"its worker ended with exit code {exit_code}"
    name = signal.Signals(-exit_code).name
    why = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"its worker was killed by {name}{why}"
