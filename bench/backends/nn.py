"""``nn``: PyTorch's recurrent module, cuDNN on a GPU and ATen on a CPU."""

from __future__ import annotations

import torch
from torch import nn

from bench.backends.implementation import Implementation
from hnrnn.variants import Recurrence, Variant


class NN(Implementation):
    """See the module's first line."""

    name = "nn"

    def unavailable(self, device: str) -> str | None:
        """Runs everywhere."""
        del device
        return None

    def kernel(self, variant: Variant, device: str) -> str:
        """On a CPU a module runs ATen, not cuDNN, whatever people call it."""
        del variant
        return "cuDNN" if device == "cuda" and torch.backends.cudnn.enabled else "ATen"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        """Return ``nn.RNN`` or ``nn.GRU``."""
        input_size, hidden_size, num_layers = sizes
        module: type[nn.RNN | nn.GRU] = nn.GRU if kind == "gru" else nn.RNN
        return module(input_size, hidden_size, num_layers=num_layers, batch_first=True)
