"""``nn_no_cudnn``: PyTorch's recurrent modules on a GPU with cuDNN off."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from bench.backends.nn import NN
from hnrnn.settings import replaced
from hnrnn.variants import Variant


class NNNoCuDNN(NN):
    """``nn.RNN`` or ``nn.GRU`` with cuDNN off."""

    name = "nn_no_cudnn"
    why_not_on_cpu = "needs a GPU; on a CPU nn is ATen already: use nn"

    def kernel(self, variant: Variant, device: str) -> str:
        del variant, device
        return "ATen"

    def settings(self) -> AbstractContextManager[object]:
        """Return a context in which cuDNN is off; its other flags stay as they are."""
        return replaced(torch.backends.cudnn, "enabled", value=False)
