"""The local engine's workers without processes: messages and flows cost no start of an interpreter.

``tests/bench/engines/test_local_engine.py`` holds what takes real ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from bench.engines.tasks import Task
from bench.engines.work import Lost, Message, Ready, Trained, Trainer, describe


class InProcessWorker:
    """Does in its turn, in this process, what it was started and told to do."""

    def __init__(self, trainer: Trainer, to_do: deque[tuple[InProcessWorker, Callable]]) -> None:
        self.trainer, self.to_do = trainer, to_do
        self.tasks: list[Task] = []

    def start(self, task: Task) -> None:
        """Do a task when it is this worker's turn."""
        self.tasks.append(task)
        self.to_do.append((self, lambda: Trained(self.trainer.carry_out(task))))

    def stop(self) -> None:
        """Do nothing more."""
        for each in [each for each in self.to_do if each[0] is self]:
            self.to_do.remove(each)


class InProcessPool:
    """Takes the place of ``LocalPool``; its workers do one thing at a time, in turn."""

    waits_for_room = False

    def __init__(self, trainer: Trainer, device: str, injected_fault: str | None) -> None:
        self.trainer = trainer
        self.read_environment = partial(trainer.read_environment, device, injected_fault)
        self.to_do: deque[tuple[InProcessWorker, Callable]] = deque()

    def start_worker(self) -> InProcessWorker:
        """Add a worker."""
        worker = InProcessWorker(self.trainer, self.to_do)
        self.to_do.append((worker, lambda: Ready(self.read_environment())))
        return worker

    def receive(self, _: float) -> list[tuple[InProcessWorker, Message]]:
        """Do the next thing; an exception is the end of its worker."""
        worker, action = self.to_do.popleft()
        try:
            return [(worker, action())]
        except Exception as error:  # noqa: BLE001  # as in a worker process
            return [(worker, Lost(describe(error)))]
