"""The torch settings that a training's numbers depend on, pinned while it runs.

Whatever the caller has set, a training computes deterministically and in full precision, records
gradients, and makes its tensors in float32 on the CPU unless it says otherwise. Only the number of
CPU threads stays the caller's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

import torch

Value = TypeVar("Value")
Setting = Callable[[], AbstractContextManager[object]]

_PINNED: ContextVar[bool] = ContextVar("pinned", default=False)


class SettingsError(ValueError):
    """A setting of the caller that a training can neither use nor undo."""


@contextmanager
def pinned_settings() -> Iterator[None]:
    """Compute as every training does; afterwards, also after an exception, all is as it was.

    Inside another ``pinned_settings`` it changes nothing, so that a backend can turn cuDNN off for
    the trainings within. Raises SettingsError where new tensors cannot be made on the CPU.
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
def _gradients() -> Iterator[None]:
    """Leave ``torch.inference_mode`` and ``torch.no_grad``."""
    with torch.inference_mode(mode=False), torch.enable_grad():
        yield


@contextmanager
def _no_autocast() -> Iterator[None]:
    """Leave ``torch.autocast`` of both devices."""
    with torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        yield


@contextmanager
def _float32_by_default() -> Iterator[None]:
    """Make new tensors in float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _cpu_by_default() -> Iterator[None]:
    """Make new tensors on the CPU."""
    # The context costs a Python call for every operation: only where it is needed.
    on_cpu = torch.empty(0).device.type == "cpu"
    with nullcontext() if on_cpu else torch.device("cpu"):
        device = torch.empty(0).device
        if device.type != "cpu":
            raise SettingsError(
                f"torch makes new tensors on {device} here, and a training cannot undo that: "
                "train outside of the mode that does it"
            )
        yield


@contextmanager
def _deterministic() -> Iterator[None]:
    """Use deterministic algorithms only."""
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warn_only)


@contextmanager
def _fixed_workspace() -> Iterator[None]:
    """Give cuBLAS a workspace of fixed size, without which its products are not deterministic."""
    name = "CUBLAS_WORKSPACE_CONFIG"
    given = name in os.environ
    os.environ.setdefault(name, ":4096:8")
    try:
        yield
    finally:
        if not given:
            del os.environ[name]


@contextmanager
def _default_blas() -> Iterator[None]:
    """Let torch choose between cuBLAS and cuBLASLt."""
    before = torch.backends.cuda.preferred_blas_library()
    torch.backends.cuda.preferred_blas_library("default")
    try:
        yield
    finally:
        torch.backends.cuda.preferred_blas_library(before)


@contextmanager
def _full_precision() -> Iterator[None]:
    """Forbid TF32 and bfloat16 in float32's products: the notebook was run without them."""
    backends: Any = torch.backends  # torch's types do not know all of its precisions
    cuda, cudnn, mkldnn = backends.cuda, backends.cudnn, backends.mkldnn
    # torch has an older and a newer way to set this, and raises where an older name is read while
    # the two disagree. In the newer, "none" means: as the owner above says. So each is read after
    # those above it have been cleared, and the older ones after that.
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
    """Return the precision that ``owner`` has been given, and take it away."""
    precision: str = owner.fp32_precision
    owner.fp32_precision = "none"
    return precision


def _readable(read: Callable[[], Value], otherwise: Value) -> Value:
    """Return what ``read`` does, or torch's default where torch refuses to say."""
    try:
        return read()
    except RuntimeError:
        return otherwise


@contextmanager
def _denormals() -> Iterator[None]:
    """Keep numbers below the smallest normal one. Some libraries turn them off when loaded."""
    flushed = math.ulp(0.0) * 1.0 == 0.0  # torch can set it, and not tell
    if flushed:
        torch.set_flush_denormal(False)
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(True)


def _flag(owner: Any, name: str, *, value: bool) -> Setting:
    """Return a setting that is an attribute."""

    @contextmanager
    def setting() -> Iterator[None]:
        before = getattr(owner, name)
        setattr(owner, name, value)
        try:
            yield
        finally:
            setattr(owner, name, before)

    return setting


SETTINGS: tuple[Setting, ...] = (
    _gradients,
    _no_autocast,
    _float32_by_default,
    _cpu_by_default,
    _deterministic,
    _fixed_workspace,
    _default_blas,
    _full_precision,
    _denormals,
    _flag(torch.backends.cudnn, "enabled", value=True),
    _flag(torch.backends.mkldnn, "enabled", value=True),
    # It finds reads of uninitialised memory, at the cost of a pass over every new tensor.
    _flag(torch.utils.deterministic, "fill_uninitialized_memory", value=False),
)
"""Each puts one setting in place, and back at the end."""
