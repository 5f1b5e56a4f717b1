"""``nn_no_cudnn``: PyTorch's recurrent module on a GPU with cuDNN off."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from bench.backends.nn import NN
from hnrnn.variants import Variant


class NNNoCuDNN(NN):
    """See the module's first line."""

    name = "nn_no_cudnn"

    def unavailable(self, device: str) -> str | None:
        """On a CPU there is no cuDNN to turn off."""
        return None if device == "cuda" else "needs a GPU; on a CPU nn is ATen already: use nn"

    def kernel(self, variant: Variant, device: str) -> str:
        """Always ATen."""
        del variant, device
        return "ATen"

    def settings(self) -> AbstractContextManager[object]:
        """Turn cuDNN off, and leave every other of its flags as it is."""
        flags = torch.backends.cudnn
        return flags.flags(
            enabled=False,
            benchmark=flags.benchmark,
            deterministic=flags.deterministic,
            allow_tf32=flags.allow_tf32,
        )
