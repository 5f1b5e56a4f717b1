"""The torch settings that a training's numbers depend on, pinned while it runs.

A training computes deterministically and in full precision, records gradients, and creates tensors
in float32 on the CPU by default. Only the number of CPU threads is left to the caller.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

import torch

Value = TypeVar("Value")
Setting = Callable[[], AbstractContextManager[object]]

_PINNED: ContextVar[bool] = ContextVar("pinned", default=False)


class SettingsError(ValueError):
    """The caller has set something that a training can neither use nor override."""


@contextmanager
def pinned_settings() -> Iterator[None]:
    """Compute under the settings of every training; restore the caller's at the end.

    A nested ``pinned_settings`` changes nothing, so that a backend can turn cuDNN off for the
    trainings inside it. Raises SettingsError if new tensors cannot be created on the CPU.
    """
    if _PINNED.get():
        yield
        return
    token = _PINNED.set(True)
    try:
        with ExitStack() as stack:
            for setting in SETTINGS:
                stack.enter_context(setting())
            yield
    finally:
        _PINNED.reset(token)


@contextmanager
def _cpu_by_default() -> Iterator[None]:
    """Create tensors on the CPU by default."""
    # The context costs a Python call per operation, so it is entered only if it is needed.
    on_cpu = torch.empty(0).device.type == "cpu"
    with nullcontext() if on_cpu else torch.device("cpu"):
        device = torch.empty(0).device
        if device.type != "cpu":
            raise SettingsError(
                f"torch creates new tensors on {device} here, and a training cannot override that: "
                "train outside the mode that does it"
            )
        yield


@contextmanager
def _fixed_workspace() -> Iterator[None]:
    """Give cuBLAS a workspace of fixed size: its products are not deterministic without one."""
    name = "CUBLAS_WORKSPACE_CONFIG"
    given = name in os.environ
    os.environ.setdefault(name, ":4096:8")
    try:
        yield
    finally:
        if not given:
            del os.environ[name]


@contextmanager
def _full_precision() -> Iterator[None]:
    """Forbid TF32 and bfloat16 in products of float32: the notebook was run without them."""
    backends: Any = torch.backends  # torch's types do not know all of its precisions
    cuda, cudnn, mkldnn = backends.cuda, backends.cudnn, backends.mkldnn
    # torch has an older and a newer way to set this, and reading an older name raises while the
    # two disagree. In the newer way, "none" means that the owner above decides. So each precision
    # is read after those above it have been cleared, and the older names are read last.
    owners = (backends, cudnn, mkldnn)
    cuda_operations = (cuda.matmul, cudnn.conv, cudnn.rnn)
    operations = (*cuda_operations, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)
    before = [(owner, _cleared(owner)) for owner in owners]
    matmul = _readable(torch.get_float32_matmul_precision, otherwise="highest")
    allow_tf32: bool = _readable(lambda: cudnn.allow_tf32, otherwise=True)
    before += [(operation, _cleared(operation)) for operation in operations]
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        cudnn.allow_tf32 = allow_tf32
        for owner, precision in reversed(before):
            owner.fp32_precision = precision


def _cleared(owner: Any) -> str:
    """Return the precision that was set for ``owner``, and clear it."""
    precision: str = owner.fp32_precision
    owner.fp32_precision = "none"
    return precision


def _readable(read: Callable[[], Value], otherwise: Value) -> Value:
    """Return what ``read`` returns, or ``otherwise``, torch's default, if torch refuses to say."""
    try:
        return read()
    except RuntimeError:
        return otherwise


@contextmanager
def tf32_allowed() -> Iterator[None]:
    """Allow TF32 in products of float32, inside ``pinned_settings``, which forbids it."""
    with (
        replaced(torch.backends.cuda.matmul, "allow_tf32", value=True),
        replaced(torch.backends.cudnn, "allow_tf32", value=True),
    ):
        yield


@contextmanager
def _denormals() -> Iterator[None]:
    """Compute with denormal numbers, which some libraries flush to zero once they are loaded."""
    flushed = math.ulp(0.0) * 1.0 == 0.0  # torch can set this, but cannot read it
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)


@contextmanager
def _set(read: Callable[[], Any], write: Callable[[Any], object], value: object) -> Iterator[None]:
    """Set something by a function of torch, and restore it at the end."""
    before = read()
    write(value)
    try:
        yield
    finally:
        write(before)


def replaced(owner: Any, name: str, *, value: bool) -> AbstractContextManager[None]:
    """Return a context that gives an attribute another value, and restores it at the end."""
    return _set(partial(getattr, owner, name), partial(setattr, owner, name), value)


_preferred_blas = torch.backends.cuda.preferred_blas_library

SETTINGS: tuple[Setting, ...] = (
    partial(torch.inference_mode, mode=False),
    torch.enable_grad,
    partial(torch.autocast, "cpu", enabled=False),
    partial(torch.autocast, "cuda", enabled=False),
    partial(_set, torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    _cpu_by_default,
    # Deterministic algorithms only. (torch.use_deterministic_algorithms would load the compiler.)
    partial(_set, torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode, "error"),
    _fixed_workspace,
    partial(_set, _preferred_blas, _preferred_blas, "default"),
    _full_precision,
    _denormals,
    partial(replaced, torch.backends.cudnn, "enabled", value=True),
    partial(replaced, torch.backends.mkldnn, "enabled", value=True),
    # This finds reads of uninitialised memory, at the cost of a pass over every new tensor.
    partial(replaced, torch.utils.deterministic, "fill_uninitialized_memory", value=False),
)
"""Each pins one setting, and restores it at the end."""
