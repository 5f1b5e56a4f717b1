"""The software, device and settings of a run: set, and read back for its record."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastai
import torch

import hnrnn
from bench.errors import UsageError
from bench.execution.fingerprint import instruction_set, numeric_fingerprint
from bench.execution.sources import LEFT_OUT, TRAINING_MODULES, path_of, source_sha256
from bench.plan.faults import FAULTS
from bench.store.records import Environment, Provenance
from hnrnn import corpus
from hnrnn.settings import pinned_settings

THREADS = 1


def find_device(name: str) -> str:
    """Return ``cpu`` or ``cuda``; raise UsageError for ``cuda`` if torch sees no GPU."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: torch sees no GPU here; use --device cpu or auto")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def take_share(share: float) -> None:
    """Limit this process to a ``share`` of its GPU's memory."""
    torch.cuda.set_per_process_memory_fraction(share)


def device_works(device: str) -> bool:
    """Return whether this process can still compute on the device after an error."""
    if device != "cuda":
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def threads_of(injected_fault: str | None) -> int:
    """Return the number of CPU threads of a run, which a fault may change."""
    threads = FAULTS[injected_fault].threads if injected_fault else None
    return threads or THREADS


@contextmanager
def reproducible_settings(threads: int = THREADS) -> Iterator[None]:
    """Apply ``hnrnn.settings`` and a number of CPU threads; restore everything afterwards."""
    threads_before = torch.get_num_threads()
    try:
        with pinned_settings():
            torch.set_num_threads(threads)
            yield
    finally:
        torch.set_num_threads(threads_before)


def read_environment(device: str, injected_fault: str | None = None) -> Environment:
    """Return the present environment of runs that are trained one at a time."""
    cuda = device == "cuda"
    products: Any = (torch.backends.cuda.matmul, torch.backends.cudnn.rnn)
    cudnn = torch.backends.cudnn.version() if cuda else None  # type: ignore[no-untyped-call]
    return Environment(
        device_name=device_name(device),
        torch_version=str(torch.__version__),
        fastai_version=fastai.__version__,
        cuda_version=torch.version.cuda if cuda else None,
        cudnn_version=None if cudnn is None else str(cudnn),
        threads=torch.get_num_threads(),
        deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
        tf32=any(operation.fp32_precision == "tf32" for operation in products),
        data_sha256=corpus.generate().sha256,
        source_sha256=source_sha256(faulty=injected_fault is not None),
        instruction_set=instruction_set(device),
        numeric_fingerprint=numeric_fingerprint(device),
    )


def read_provenance(device: str) -> Provenance:
    """Return the provenance of runs that are trained now; what is unknown is None."""
    commit, dirty = read_commit()
    return Provenance(
        package_version=hnrnn.__version__, commit=commit, dirty=dirty, **machine_facts(device)
    )


def read_commit() -> tuple[str | None, bool | None]:
    """Return the commit of the code that trains, and whether that code differs from it.

    Both are None unless git finds a repository that tracks this package. Only the files that a
    training imports are compared.
    """
    if _command_output("git", "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = _command_output("git", "rev-parse", "HEAD")
    modules = (*TRAINING_MODULES, *LEFT_OUT)
    paths = [os.path.relpath(path_of(module), _folder()) for module in modules]
    every_kind = ("--porcelain", "--untracked-files=all", "--ignored")
    changed = _command_output("git", "--no-optional-locks", "status", *every_kind, "--", *paths)
    return commit, None if commit is None or changed is None else bool(changed)


def machine_facts(device: str) -> dict[str, Any]:
    """Return the fields of a ``Provenance`` that describe the machine."""
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return {
        "python_version": platform.python_version(),
        "platform": ", ".join(filter(None, (platform.platform(), processor()))),
        "driver_version": _command_output(*query) if device == "cuda" else None,
    }


def processor() -> str:
    """Return the CPU's vendor, family, model and stepping; empty where Linux does not say.

    Processors of one name may round differently. The numeric fingerprint is what ids depend on.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    found = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    words = {"vendor_id": "", "cpu family": "family ", "model": "model ", "stepping": "stepping "}
    return " ".join(f"{word}{found[name]}" for name, word in words.items() if name in found)


def _command_output(*command: str) -> str | None:
    # Variables such as GIT_DIR, which a git hook has, would name another repository.
    foreign = [name for name in os.environ if re.match("GIT_(?!CONFIG_)", name)]
    try:
        result = subprocess.run(
            command,
            cwd=_folder(),
            env={name: value for name, value in os.environ.items() if name not in foreign},
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def _folder() -> Path:
    return Path(hnrnn.__file__).parent


def device_name(device: str) -> str:
    """Return the name of the GPU, or the CPU's model or architecture."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
