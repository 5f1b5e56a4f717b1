"""What happens in a training, written down in the order in which it happens."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from bench.backends.recurrence import ConvertedModel, canonical_parameters, model_weights
from hnrnn.models import Recurrent
from hnrnn.weights import weights_sha256

SEED = 1
"""Not 0: a run that takes seed 0 for every seed would not show."""
STEPS_IN_DETAIL = 2
"""Training steps of which everything is written down; of the others, the loss and the schedule."""

Values = list[float] | str
Trace = dict[str, Values]
"""What was found at each stage, by a name such as ``step 0: gradient of h_o.weight``, in order."""


class TraceRecorder(Callback):  # type: ignore[misc]  # fastai has no types
    """Write down what happens in a training, in the order in which it happens."""

    order = 90  # after the schedule and whatever else changes a step

    def __init__(self) -> None:
        self.trace: Trace = {}

    def before_fit(self) -> None:
        """Hash the initial weights, and hook the layers."""
        self.steps = 0
        self.put("start: weights at the start", weights_sha256(self.learn.model))
        self.hooks = [
            module.register_forward_hook(partial(self.see_output, name))
            for name, module in self.learn.model.named_modules()
            if name in ("i_h", "h_h", "h_o", "bn", "rnn", "rnnc")
        ]

    def after_fit(self) -> None:
        """Take the hooks off."""
        for hook in self.hooks:
            hook.remove()

    def put(self, name: str, values: Values) -> None:
        """Write down what is new; a layer that is called again adds to its list."""
        known = self.trace.get(name)
        if isinstance(known, list) and isinstance(values, list):
            values = known + values
        self.trace[name] = values

    @property
    def moment(self) -> str | None:
        """The step that is to be seen in detail; None in others."""
        if not self.training:
            return "validation" if self.iter == 0 else None
        return f"step {self.steps}" if self.steps < STEPS_IN_DETAIL else None

    def see_output(self, name: str, _: nn.Module, __: Any, output: Any) -> None:
        """Write down the output of a layer."""
        if self.moment:
            first = output[0] if isinstance(output, tuple) else output
            self.put(f"{self.moment}: output of {name}", summary(first))

    def before_batch(self) -> None:
        """Write down the batch, the state that it starts from, and the optimizer's settings."""
        where = f"step {self.steps}" if self.training else f"validation batch {self.iter}"
        self.put(f"{where}: batch", hash_of(self.learn.xb[0], self.learn.yb[0]))
        if self.moment:
            modes = sorted({str(module.training) for module in self.learn.model.modules()})
            self.put(f"{self.moment}: mode", ", ".join(modes))
            h = getattr(self.learn.model, "h", None)
            if isinstance(h, Tensor):
                self.put(f"{self.moment}: state", summary(h))

    def after_pred(self) -> None:
        """Write down the scores, and the running statistics of BatchNorm."""
        if self.moment:
            self.put(f"{self.moment}: scores", summary(self.learn.pred))
            bn = self.learn.model.bn
            self.put(f"{self.moment}: statistics", statistics_of(bn.running_mean, bn.running_var))

    def after_loss(self) -> None:
        """Write down the loss."""
        where = f"step {self.steps}" if self.training else f"validation batch {self.iter}"
        self.put(f"{where}: loss", [float(self.learn.loss.detach())])

    def before_step(self) -> None:
        """Write down the gradients and the settings with which the optimizer will use them."""
        if self.moment:
            for name, parameter in parameters_of(self.learn.model).items():
                if parameter.grad is not None:
                    self.put(f"{self.moment}: gradient of {name}", summary(parameter.grad))
        hypers = dict(self.learn.opt.hypers[0])
        self.put(f"step {self.steps}: learning rate", [float(hypers.pop("lr"))])
        self.put(f"step {self.steps}: momentum", [float(hypers.pop("mom"))])
        if self.moment:
            for name, value in sorted(hypers.items()):
                if isinstance(value, float):
                    self.put(f"{self.moment}: setting {name}", [value])

    def after_step(self) -> None:
        """Write down the new weights."""
        if self.moment:
            for name, parameter in parameters_of(self.learn.model).items():
                self.put(f"{self.moment}: weights after of {name}", summary(parameter))

    def after_batch(self) -> None:
        """Count the steps."""
        self.steps += self.training

    def after_validate(self) -> None:
        """Write down the validation's result."""
        self.put("validation: accuracy", [])


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are used, by names that are the same on every backend."""
    if isinstance(model, ConvertedModel):
        recurrence = canonical_parameters(model.rnn)
    elif isinstance(model, Recurrent):
        recurrence = model_weights(model)
    else:
        return dict(model.named_parameters())
    outer = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith(("i_h", "h_o", "bn"))
    }
    return outer | recurrence


def summary(tensor: Tensor) -> list[float]:
    """Return the root mean square of a tensor, and its projection on fixed numbers of that size."""
    values = tensor.detach().double().flatten().cpu()
    directions = torch.cos(torch.arange(1, len(values) + 1, dtype=torch.float64))
    root = float(values.square().mean().sqrt())
    return [root, float(values @ directions) / math.sqrt(len(values))]


def statistics_of(mean: Tensor, variance: Tensor) -> list[float]:
    """Return the summaries of BatchNorm's running statistics, both (hidden,)."""
    return [*summary(mean), *summary(variance)]


def hash_of(*tensors: Tensor) -> str:
    """Return a short hash of whole numbers and their shapes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
