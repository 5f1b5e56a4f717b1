"""``nn``: PyTorch's recurrent modules, executed by cuDNN on a GPU and by ATen on a CPU."""

from __future__ import annotations

import torch
from torch import nn

from bench.backends.implementation import Implementation
from hnrnn.variants import Recurrence, Variant


class NN(Implementation):
    """``nn.RNN`` or ``nn.GRU``."""

    name = "nn"

    def kernel(self, variant: Variant, device: str) -> str:
        del variant
        return "cuDNN" if device == "cuda" and torch.backends.cudnn.enabled else "ATen"

    def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
        input_size, hidden_size, num_layers = sizes
        module: type[nn.RNN | nn.GRU] = nn.GRU if kind == "gru" else nn.RNN
        return module(input_size, hidden_size, num_layers=num_layers, batch_first=True)
