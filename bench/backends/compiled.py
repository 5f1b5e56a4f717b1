"""``compiled``: ``torch.compile`` of the hand-written loop, unrolled over its time steps."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import cast

from torch import nn

from bench.backends.custom import Custom
from hnrnn.models import FullyConnected
from hnrnn.variants import Recurrence


class Compiled(Custom):
    """See the module's first line.

    Compiling happens at the first call, forward and backward each, and again for validation,
    which runs without gradients.
    """

    name = "compiled"

    def obstacle(self, device: str) -> str | None:
        """A CPU needs a C++ compiler, a GPU the ``triton`` package."""
        if device == "cuda":
            return None if find_spec("triton") else "needs the triton package: pip install triton"
        compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler):
            return None
        return f"needs the C++ compiler {compiler}: install it, or name another in CXX"

    def kernel(self, device: str) -> str:
        """Inductor writes Triton for a GPU and C++ for a CPU."""
        return f"Inductor {'Triton' if device == 'cuda' else 'C++'}"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return the custom loop, to be compiled at its first call."""
        return _compiled(super().recurrence(kind, sizes))

    def fully_connected(self, model: FullyConnected) -> nn.Module:
        """Return the model, its whole forward to be compiled at its first call."""
        return _compiled(model)

    def settings(self) -> AbstractContextManager[object]:
        """Allow a program for each recurrence, dtype, shape and mode of one process."""
        import torch._dynamo  # slow to load, and of no use to the others

        # Past the limit, which is 8, `fullgraph` raises. Every program here is meant to be.
        return cast(
            "AbstractContextManager[object]", torch._dynamo.config.patch(recompile_limit=64)
        )


def _compiled(module: nn.Module) -> nn.Module:
    module.compile(fullgraph=True, dynamic=False)  # in place: parameters keep their names
    return module
