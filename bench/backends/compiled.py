"""``compiled``: ``torch.compile`` of the hand-written loop, unrolled over its time steps."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from bench.backends.custom import Custom
from hnrnn.models import FullyConnected
from hnrnn.text import has_space
from hnrnn.variants import Recurrence, Variant

SWITCHES = ("TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE")
INDUCTOR_SETTINGS: dict[str, object] = {
    "cpp.enable_floating_point_contract_flag": "off",
    "cpp.enable_unsafe_math_opt_flag": False,
    "cpp.simdlen": None,
    "deterministic": True,
    "emulate_precision_casts": False,
    "freezing": False,
    "max_autotune": False,
}
"""Settings that change a program's bits and have environment variables; most at their defaults."""


class Compiled(Custom):
    """The loop of ``custom``, compiled by ``torch.compile``.

    The forward and the backward are compiled at their first call, and the forward once more for
    validation without gradients.
    """

    name = "compiled"

    def why_unavailable(self, device: str) -> str | None:
        if device == "cuda":
            return why_no_triton()
        folder = torch.__path__[0]
        if has_space(folder):
            return f"cannot compile if torch is installed in a path with a space: {folder}"
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler):
            return None
        return f"needs the C++ compiler {compiler}: install it, or name another in CXX"

    def kernel(self, variant: Variant, device: str) -> str:
        del variant
        return f"Inductor {'Triton' if device == 'cuda' else 'C++'}"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        return _compiled(super().recurrence(kind, sizes))

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        return _compiled(model)

    def why_switched_off(self) -> str | None:
        off = [name for name in SWITCHES if os.environ.get(name) == "1"]
        return f"{off[0]}=1 switches torch.compile off: unset it" if off else None

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Allow a program per dtype, shape and mode; raise NotCompiledError if compiling is off."""
        off = self.why_switched_off()
        if off:
            raise NotCompiledError(off)
        import torch._dynamo  # slow to load, and not needed by the other backends
        import torch._inductor.config

        if torch._dynamo.config.disable:
            raise NotCompiledError("torch._dynamo.config.disable switches torch.compile off")
        # Beyond the limit, by default 8, `fullgraph` raises. Every program here is intended.
        patched = torch._dynamo.config.patch(recompile_limit=64, suppress_errors=False)
        pinned = torch._inductor.config.patch(INDUCTOR_SETTINGS)
        with patched, pinned, torch.compiler.set_stance("default"):
            yield


def why_no_triton() -> str | None:
    """Return what Triton needs to build kernels and their launchers in C; None if it is there."""
    if not find_spec("triton"):
        return "needs the triton package: pip install triton"
    if not os.environ.get("CC") and not shutil.which("gcc") and not shutil.which("clang"):
        return "needs a C compiler, for Triton: install gcc, or name another in CC"
    if not Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").is_file():
        return "needs Python's C headers, for Triton: install python3-dev"
    return None


class NotCompiledError(Exception):
    """A module that should have been compiled runs as Python."""


def _compiled(module: nn.Module) -> nn.Module:
    module.register_forward_pre_hook(_refuse_python)
    module.compile(fullgraph=True, dynamic=False)  # in place: parameters keep their names
    return module


def _refuse_python(module: nn.Module, inputs: object) -> None:
    """Raise NotCompiledError unless the compiler is tracing; compiled programs skip this hook.

    If torch.compile is switched off, it calls modules as they are and reports nothing.
    """
    del inputs
    if not torch.compiler.is_compiling():
        raise NotCompiledError(
            f"torch.compile did not compile {type(module).__name__}: it is switched off here"
        )
