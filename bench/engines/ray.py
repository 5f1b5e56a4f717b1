"""The engine ``ray``: runs in workers on a Ray cluster; each worker has one CPU.

The records are sent back and stored here, so that the nodes need no shared disk. Lost tasks are
tried again by ``bench.engines.schedule``, as on every engine, and not by Ray.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

# Set before Ray is imported. Otherwise the raylet's log is printed into the progress display.
os.environ["RAY_DEDUP_LOGS_SKIP_REGEX"] = "."

import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError

import bench
import hnrnn
from bench.engines.ledger import Ledger
from bench.engines.schedule import Schedule
from bench.engines.tasks import Task
from bench.engines.work import (
    Display,
    Finished,
    Lost,
    Message,
    Ready,
    Site,
    Trained,
    Trainer,
    describe,
)
from bench.errors import UsageError
from bench.signals import handled
from bench.store.records import Run
from hnrnn.program import accept_warnings
from hnrnn.text import has_space

OBJECT_STORE_BYTES = 2**27
"""The object store of a cluster that is started here; it holds nothing but records."""
KNOCK_SECONDS = 10.0


def survey(
    device: str,
    injected_fault: str | None,
    *,
    gpus_per_run: float | None = None,
    ray_address: str | None = None,
) -> Site:
    """Connect to the cluster, and return what one of its workers finds.

    Raises UsageError if the cluster does not exist or does not have the device.
    """
    if gpus_per_run is not None and not 0 < gpus_per_run <= 1:
        raise UsageError(f"--gpus-per-run must be above 0 and at most 1, not {gpus_per_run:g}")
    _connect(ray_address)
    resources = ray.cluster_resources()
    cpus, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
    if device == "cuda" and not gpus:
        raise UsageError("--device cuda: the Ray cluster has no GPU; use --device cpu or auto")
    found = "cpu" if device == "cpu" or not gpus else "cuda"
    worker = RayPool(Trainer(), found, injected_fault, gpus_per_run).start_worker()
    message = worker.receive()
    worker.stop()
    if isinstance(message, Lost):
        raise UsageError(f"the workers of the Ray cluster do not start: {message.reason}")
    assert isinstance(message, Ready)  # noqa: S101  # a worker's first message
    jobs = cpus if found == "cpu" else min(cpus, int(gpus / (gpus_per_run or 1)))
    return Site(found, message.environment, max(jobs, 1))


def run_all(
    runs: Sequence[Run],
    trainer: Trainer,
    ledger: Ledger,
    *,
    jobs: int,
    display: Display,
    gpus_per_run: float | None = None,
    ray_address: str | None = None,
) -> list[Finished]:
    """Train as ``bench.engines.local.run_all`` does, on the cluster at ``ray_address``.

    Without an address a cluster is started here. Each worker has ``gpus_per_run`` GPUs, or one.
    """
    _connect(ray_address)
    pool = RayPool(trainer, runs[0].device, runs[0].injected_fault, gpus_per_run)
    return Schedule(pool, ledger, jobs=jobs, display=display).carry_out(runs)


def _connect(address: str | None) -> None:
    if ray.is_initialized():
        return
    if address is None and has_space(sys.prefix):
        raise UsageError(
            f"--engine ray cannot start workers from a path with a space ({sys.prefix}): use "
            "--engine local, or install to another path"
        )
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    options: dict[str, Any]
    if address is None:
        # With Ray's default, 15, the workers starve beside any other load.
        os.environ.setdefault("RAY_worker_niceness", "0")
        options = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    else:  # its nodes may have another hnrnn or none, and do not inherit our environment
        variables = {"OMP_WAIT_POLICY": "passive"}
        options = {"runtime_env": {"py_modules": [hnrnn, bench], "env_vars": variables}}
    options |= {"log_to_driver": False, "logging_level": logging.ERROR}
    # Restored afterwards, because Ray's own handler exits silently.
    present = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    try:
        _knock(address)
        with handled(signal.SIGTERM, handler=present):
            ray.init(address or "local", **options)
    except Exception as error:  # Ray also raises plain Exceptions
        raise UsageError(_no_cluster(address, error)) from error


def _no_cluster(address: str | None, error: Exception) -> str:
    reason = describe(error)
    if address is not None:
        return (
            f"--ray-address {address}: no Ray cluster answers there ({reason}): "
            "start one with `ray start --head`, or leave out the option"
        )
    if "AF_UNIX path length" in reason:
        remedy = "set RAY_TMPDIR to a shorter path"
    elif "home directory" in reason:
        remedy = "set HOME to a folder that exists"
    elif isinstance(error, OSError):
        remedy = "set RAY_TMPDIR to a folder that can be written to"
    else:
        remedy = "use --engine local, or the --ray-address of a running cluster"
    return f"no Ray cluster can be started on this machine ({reason}): {remedy}"


def _knock(address: str | None) -> None:
    """Raise OSError if nothing listens at ``host:port``; Ray itself would try for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


class RemoteTrainer:
    """A worker: an actor of Ray."""

    def __init__(self, trainer: Trainer) -> None:
        accept_warnings()
        self.trainer = trainer

    def prepare(self, device: str, injected_fault: str | None) -> Ready:
        """Return the environment of this node."""
        self.trainer = self.trainer.moved(device)
        return Ready(self.trainer.read_environment(device, injected_fault))

    def carry_out(self, task: Task) -> Trained:
        """Train a task."""
        return Trained(self.trainer.carry_out(task))


class RayWorker:
    """An actor, and the answer that is expected of it."""

    def __init__(self, actor: Any, device: str, injected_fault: str | None) -> None:
        self.actor = actor
        self.answer = actor.prepare.remote(device, injected_fault)
        self.stopped = False

    def start(self, task: Task) -> None:
        self.answer = self.actor.carry_out.remote(task)

    def stop(self) -> None:
        self.answer, self.stopped = None, True
        ray.kill(self.actor)

    def receive(self) -> Message:
        try:
            message: Message = ray.get(self.answer)
            self.answer = None
        except RayTaskError as error:
            message = Lost(describe(error.cause))
        except RayError as error:
            message = Lost(_end_of(error))
        if isinstance(message, Lost):
            self.stop()
        return message


class RayPool:
    """The actors. An actor is not ready until the cluster has room for it."""

    waits_for_room = True

    def __init__(
        self, trainer: Trainer, device: str, injected_fault: str | None, gpus_per_run: float | None
    ) -> None:
        self.device, self.injected_fault = device, injected_fault
        share = gpus_per_run or 1.0
        self.trainer = replace(trainer, gpu_share=share)
        gpus = share if device == "cuda" else 0
        self.actors = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(RemoteTrainer)
        self.workers: list[RayWorker] = []

    def start_worker(self) -> RayWorker:
        worker = RayWorker(self.actors.remote(self.trainer), self.device, self.injected_fault)
        self.workers.append(worker)
        return worker

    def receive(self, seconds: float) -> list[tuple[RayWorker, Message]]:
        self.workers = [worker for worker in self.workers if not worker.stopped]
        asked = {worker.answer: worker for worker in self.workers if worker.answer}
        answers = list(asked)
        if not answers:
            time.sleep(seconds)
            return []
        ray.wait(answers, timeout=seconds)
        ready, _ = ray.wait(answers, num_returns=len(answers), timeout=0)
        return [(asked[answer], asked[answer].receive()) for answer in ready]


def _end_of(error: RayError) -> str:
    """Return how an actor ended; Ray says it in many lines."""
    text = " ".join(str(error).split())
    place = re.search(r"\bip: (\S+)", text)
    worker = f"its worker on {place[1]}" if place else "its worker"
    if isinstance(error, ActorUnavailableError):
        return f"{worker} cannot be reached: the worker or its node has died"
    if "low on memory" in text:
        return f"{worker} was ended by Ray because the node ran out of memory"
    if "node has died" in text:
        return f"{worker} died with its node"
    if "process has died" in text:
        return f"{worker} died: it crashed or was killed, as the system does when memory runs out"
    return f"{worker} is lost: {text[:200]}"
