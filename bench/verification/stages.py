"""Where in a training a run departs first: data, forward, backward, optimizer, schedule and so on.

``record`` trains one epoch and writes down what happens at each stage, in the order in which it is
computed. ``hnrnn/published/stages.json`` holds what the healthy code does with ``SEED``. In float64
a stage that computes the same differs by 1e-12 or so, and rounding hides nothing; what only goes
wrong in float32 shows there, against a wider tolerance.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from fastai.callback.core import Callback
from torch import Tensor, nn

from bench.backends import IMPLEMENTATIONS
from bench.backends.recurrence import ConvertedModel, canonical_parameters, model_weights
from bench.execution.environment import reproducible_settings, threads_of
from hnrnn.models import Recurrent
from hnrnn.training import fit, weights_sha256
from hnrnn.variants import VARIANTS

SEED = 1
"""Not 0: a run that takes seed 0 for every seed would not show."""
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
"""By dtype: differences up to here, as a share of a quantity's own size, are rounding."""
DIGITS = {"float64": 13, "float32": 7}
"""Digits that ``stages.json`` keeps."""
STEPS_IN_DETAIL = 2
"""Training steps of which everything is written down; of the others, the loss and the schedule."""

Values = list[float] | str
Trace = dict[str, Values]
"""What was found at each stage, by a name such as ``step 0 gradient h_o.weight``, in order."""


@dataclass(frozen=True)
class Departure:
    """The first stage in which two traces differ."""

    dtype: str
    name: str
    expected: Values
    found: Values | None

    @property
    def stage(self) -> str:
        """The stage in words: ``forward``, ``schedule`` and so on."""
        return next(stage for word, stage in STAGES.items() if word in self.name.split(": ")[1])


STAGES = {
    "weights at the start": "initial weights",
    "batch": "data",
    "state": "hidden state carried over",
    "mode": "mode of the layers",
    "output of": "forward",
    "scores": "forward",
    "loss": "loss",
    "gradient": "backward",
    "learning rate": "schedule",
    "momentum": "schedule",
    "setting": "optimizer settings",
    "weights after": "optimizer step",
    "accuracy": "metric",
}
"""Stages by a word in the names of what is written down; the first that fits counts."""


class Recorder(Callback):  # type: ignore[misc]  # fastai has no types
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
        """Write down the scores."""
        if self.moment:
            self.put(f"{self.moment}: scores", summary(self.learn.pred))

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


def hash_of(*tensors: Tensor) -> str:
    """Return a short hash of whole numbers and their shapes."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def record(
    variant: str,
    backend: str,
    dtype: str,
    *,
    device: str = "cpu",
    injected_fault: str | None = None,
) -> Trace:
    """Train one epoch with ``SEED``, and return what happened at each stage."""
    implementation, found = IMPLEMENTATIONS[backend], VARIANTS[variant]
    train = fit
    if injected_fault is not None:
        from bench.execution.fault_injection import faulty_fit

        train = faulty_fit(injected_fault, found, backend)
    recorder = Recorder()
    with reproducible_settings(threads_of(injected_fault)), implementation.settings():
        training = train(
            found,
            seed=SEED,
            dtype=dtype,
            device=device,
            initialisation="ones",
            epochs=1,
            convert=partial(implementation.convert, found),
            callbacks=[recorder],
        )
    trace = recorder.trace
    trace["start: weights at the start"] = training.initial_weights_sha256
    trace["validation: accuracy"] = [float(training.history["accuracy"].iloc[0])]
    return trace


def first_departure(dtype: str, expected: Mapping[str, Values], found: Trace) -> Departure | None:
    """Return where ``found`` departs first; None where it does not.

    The order is that of ``expected``. The output of a layer counts only where a
    backend calls it as often.
    """
    for name, values in expected.items():
        here = found.get(name)
        if "output of" in name and (here is None or len(here) != len(values)):
            continue
        if here is None or not _equal(values, here, TOLERANCES[dtype]):
            return Departure(dtype, name, values, here)
    return None


def _equal(expected: Values, found: Values, tolerance: float) -> bool:
    if isinstance(expected, str) or isinstance(found, str):
        return expected == found
    if len(expected) != len(found):
        return False
    size = max(map(abs, expected), default=0.0)
    return all(
        abs(one - other) <= tolerance * size for one, other in zip(expected, found, strict=True)
    )


def explain(
    published: Mapping[str, Mapping[str, Trace]],
    variant: str,
    backend: str,
    *,
    device: str = "cpu",
    injected_fault: str | None = None,
) -> Departure | None:
    """Return the first stage in which a configuration departs: in float64, else in float32.

    ``published`` has the traces of the healthy code by variant and dtype.
    """
    for dtype in TOLERANCES:
        found = record(variant, backend, dtype, device=device, injected_fault=injected_fault)
        departure = first_departure(dtype, published[variant][dtype], found)
        if departure:
            return departure
    return None


def record_all(variants: Sequence[str]) -> dict[str, dict[str, Trace]]:
    """Return the traces of the notebook's backends, as ``stages.json`` holds them."""
    return {
        name: {
            dtype: _shortened(record(name, VARIANTS[name].backend, dtype), DIGITS[dtype])
            for dtype in TOLERANCES
        }
        for name in variants
    }


def _shortened(trace: Trace, digits: int) -> Trace:
    """Return a trace whose numbers have so many digits."""
    return {
        name: values if isinstance(values, str) else [float(f"{v:.{digits}g}") for v in values]
        for name, values in trace.items()
    }
