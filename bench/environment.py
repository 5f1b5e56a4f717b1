"""The software, device and settings of a run: put in place, and read back for its record."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import fastai
import torch

import bench.backends
import hnrnn
from bench.faults import FAULTS
from bench.plan import UsageError
from bench.records import ENSEMBLE, LEARNER, Environment, Provenance
from hnrnn import corpus

THREADS = 1
COMMAND_LINE_MODULES = ("__main__.py", "arguments.py", "facts.py", "program.py")
"""Modules of ``hnrnn`` that no training goes through."""


class DeviceError(UsageError):
    """The device that was asked for is not here."""


def find_device(name: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``.

    Raises DeviceError where ``cuda`` is asked for and torch sees no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("--device cuda: torch sees no GPU here; use --device cpu or auto")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def device_works(device: str) -> bool:
    """Return whether this process can still compute on the device.

    Many a CUDA error (an illegal address, a failed assertion, a card that is gone) stays: every
    later call in the process fails with it. Others, as that memory is full, leave no trace.
    """
    if device != "cuda":
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def threads_of(plant: str | None) -> int:
    """Return how many CPU threads a run with ``plant``, or with nothing planted, is given."""
    threads = FAULTS[plant].threads if plant else None
    return threads or THREADS


@contextmanager
def reproducible_settings(threads: int = THREADS) -> Iterator[None]:
    """Compute deterministically, in full precision and with ``threads`` CPU threads.

    What was set before is put back at the end, after an exception too. TF32 is off: the notebook
    was run before there was such a thing.
    """
    # cuBLAS reads this when it starts; deterministic products on a GPU need it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    deterministic = torch.are_deterministic_algorithms_enabled()
    threads_before = torch.get_num_threads()
    tf32 = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    uninitialized: Any = torch.utils.deterministic
    filling = uninitialized.fill_uninitialized_memory
    try:
        # It finds reads of uninitialised memory, at the cost of a pass over every new tensor.
        uninitialized.fill_uninitialized_memory = False
        torch.use_deterministic_algorithms(mode=True)
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        yield
    finally:
        torch.use_deterministic_algorithms(mode=deterministic)
        torch.set_num_threads(threads_before)
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = tf32
        uninitialized.fill_uninitialized_memory = filling


def read_environment(device: str, plant: str | None = None, engine: str = LEARNER) -> Environment:
    """Return the environment as torch reports it now, for runs on ``device`` with ``plant``."""
    cuda = device == "cuda"
    cudnn = torch.backends.cudnn.version() if cuda else None  # type: ignore[no-untyped-call]
    return Environment(
        device_name=torch.cuda.get_device_name() if cuda else _processor_name(),
        torch_version=str(torch.__version__),
        fastai_version=fastai.__version__,
        cuda_version=torch.version.cuda if cuda else None,
        cudnn_version=None if cudnn is None else str(cudnn),
        threads=torch.get_num_threads(),
        deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
        tf32=bool(torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32),
        data_sha256=corpus.generate().sha256,
        source_sha256=source_sha256(planted=plant is not None, engine=engine),
    )


@cache
def source_sha256(*, planted: bool = False, engine: str = LEARNER) -> str:
    """Return the digest of the code that trains: ``hnrnn`` but for its commands, and backends.

    What plants a fault is part of it where one is ``planted``, and the ensemble where that trains.
    A commit would not do: it changes with every word of the README, and a working tree need not be
    one.
    """
    digest = hashlib.sha256()
    package, backends = Path(hnrnn.__file__).parent, Path(bench.backends.__file__).parent
    paths = [p for p in package.glob("*.py") if p.name not in COMMAND_LINE_MODULES]
    further = [backends.parent / "planting.py"] if planted else []
    if engine == ENSEMBLE:
        further += sorted((backends.parent / "ensemble").glob("*.py"))
    for path in sorted(paths) + sorted(backends.glob("*.py")) + further:
        digest.update(f"{path.parent.name}/{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def read_provenance(device: str) -> Provenance:
    """Return where runs made now come from; what cannot be known is None."""
    commit = _command_output("git", "rev-parse", "HEAD")
    status = _command_output("git", "status", "--porcelain")
    return Provenance(
        package_version=hnrnn.__version__,
        commit=commit,
        dirty=None if commit is None or status is None else bool(status),
        **machine_facts(device),
    )


def machine_facts(device: str) -> dict[str, Any]:
    """Return what of a ``Provenance`` is the machine's, and not the code's."""
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "driver_version": _command_output(*query) if device == "cuda" else None,
    }


def _command_output(*command: str) -> str | None:
    """Return what a command prints, run where the package lies; None where it cannot be run."""
    try:
        result = subprocess.run(
            command,
            cwd=Path(hnrnn.__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _processor_name() -> str:
    """Return the CPU's model name; the architecture where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
