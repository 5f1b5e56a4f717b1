"""Where in a training a run departs first: data, forward, backward, optimizer, schedule and so on.

``record`` trains one epoch and writes down what happens at each stage, in the order in which it is
computed. ``hnrnn/published/stages.json`` holds what the healthy code does with ``SEED``. In float64
a stage that computes the same differs by 1e-12 or so, and rounding hides nothing; what only goes
wrong in float32 shows there, against a wider tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bench.backends import IMPLEMENTATIONS
from bench.execution.environment import reproducible_settings, threads_of
from bench.plan.grid import BACKENDS
from bench.verification.ensemble_stages import record_ensemble
from bench.verification.recording import SEED, Trace, TraceRecorder, Values
from hnrnn.training import fit
from hnrnn.variants import VARIANTS

TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
"""By dtype: differences up to here, as a share of a quantity's own size, are rounding."""
DIGITS = {"float64": 13, "float32": 7}
"""Digits that ``stages.json`` keeps."""


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
    "statistics": "running statistics of BatchNorm",
    "weights after": "optimizer step",
    "accuracy": "metric",
}
"""Stages by a word in the names of what is written down; the first that fits counts."""


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
    recorder = TraceRecorder()
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

    ``published`` has the traces of the healthy code by variant and dtype. A graphed backend is
    trained without its graph. An ensemble shows only a part of what it does.
    """
    for dtype in TOLERANCES:
        expected = published[variant][dtype]
        if BACKENDS[backend].joint:
            found = record_ensemble(variant, dtype, device)
            expected = {name: values for name, values in expected.items() if name in found}
        else:
            found = record(variant, backend, dtype, device=device, injected_fault=injected_fault)
        departure = first_departure(dtype, expected, found)
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
