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
from hnrnn.variants import Recurrence, Variant

SWITCHES = ("TORCHDYNAMO_DISABLE", "TORCH_COMPILE_DISABLE")
"""Environment variables that switch ``torch.compile`` off."""


INDUCTOR_SETTINGS: dict[str, object] = {
    "cpp.enable_floating_point_contract_flag": "off",
    "cpp.enable_unsafe_math_opt_flag": False,
    "cpp.simdlen": None,
    "emulate_precision_casts": False,
    "freezing": False,
    "max_autotune": False,
}
"""What decides a program's bits, and can be set by environment variables: torch's defaults."""


class Compiled(Custom):
    """See the module's first line.

    Compiling happens at the first call, forward and backward each, and again for validation,
    which runs without gradients.
    """

    name = "compiled"

    def unavailable(self, device: str) -> str | None:
        """A CPU needs a C++ compiler, a GPU what Triton needs."""
        if device == "cuda":
            return triton_unavailable()
        if any(character.isspace() for character in torch.__path__[0]):
            return (
                f"cannot compile with a torch that lies in a path with a space: {torch.__path__[0]}"
            )
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler):
            return None
        return f"needs the C++ compiler {compiler}: install it, or name another in CXX"

    def kernel(self, variant: Variant, device: str) -> str:
        """Inductor writes Triton for a GPU and C++ for a CPU."""
        del variant
        return f"Inductor {'Triton' if device == 'cuda' else 'C++'}"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return the custom loop, to be compiled at its first call."""
        return _compiled(super().recurrence(kind, sizes))

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        """Return the model, its whole forward to be compiled at its first call."""
        return _compiled(model)

    def switched_off(self) -> str | None:
        """Say which environment variable has torch compile nothing."""
        off = [name for name in SWITCHES if os.environ.get(name) == "1"]
        return f"{off[0]}=1 switches torch.compile off: unset it" if off else None

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Allow a program for each recurrence, dtype, shape and mode of one process.

        Raises NotCompiledError where torch.compile is switched off.
        """
        off = self.switched_off()
        if off:
            raise NotCompiledError(off)
        import torch._dynamo  # slow to load, and of no use to the others
        import torch._inductor.config

        if torch._dynamo.config.disable:
            raise NotCompiledError("torch._dynamo.config.disable switches torch.compile off")
        # Past the limit, which is 8, `fullgraph` raises. Every program here is meant to be.
        patched = torch._dynamo.config.patch(recompile_limit=64, suppress_errors=False)
        pinned = torch._inductor.config.patch(INDUCTOR_SETTINGS)
        with patched, pinned, torch.compiler.set_stance("default"):
            yield


def triton_unavailable() -> str | None:
    """Return what Triton lacks for kernels on a GPU: it has their launchers compiled, in C."""
    if not find_spec("triton"):
        return "needs the triton package: pip install triton"
    if not os.environ.get("CC") and not shutil.which("gcc") and not shutil.which("clang"):
        return "needs a C compiler, for Triton: install gcc, or name another in CC"
    if not Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").is_file():
        return "needs Python's C headers, for Triton: install python3-dev"
    return None


class NotCompiledError(Exception):
    """What should have run compiled ran as Python."""


def _compiled(module: nn.Module) -> nn.Module:
    module.register_forward_pre_hook(_refuse_python)
    module.compile(fullgraph=True, dynamic=False)  # in place: parameters keep their names
    return module


def _refuse_python(module: nn.Module, inputs: object) -> None:
    """Raise NotCompiledError, unless the compiler is what reads this: its programs lack the hook.

    torch.compile calls a module as it is where it has been switched off, and says nothing.
    """
    del inputs
    if not torch.compiler.is_compiling():
        raise NotCompiledError(
            f"torch.compile has left {type(module).__name__} as it was: nothing is compiled here"
        )
