"""Is a backend slower than in the baseline? Ratios to the reference, measurement by measurement.

A backend's ratio to the reference is taken within each measurement, and these ratios are compared.
A change that slows all backends alike is therefore not seen, because a bare time from a shared
machine means nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.plan.grid import reference_backend
from hnrnn.variants import VARIANTS
from reports.runs.ratios import bootstrap_interval, latest, quotients

MINIMUM_EFFECT = 0.10
"""A smaller slow-down is ignored: ratios vary by a few percent from process to process, for reasons
such as memory layout."""
LEVEL = 0.05
RESAMPLES = 4000

MEASURED_ALIKE = ["device_name", "dtype", "threads"]
"""Columns in which two measurements must be alike to be compared."""


@dataclass(frozen=True)
class Change:
    """A backend's throughput as a ratio to the reference, tonight and in the baseline.

    ``change`` is tonight's ratio over the baseline's, and ``low`` and ``high`` bound its bootstrap
    interval, at a level corrected for the number of changes.
    """

    device_name: str
    variant: str
    backend: str
    phase: str
    ratio: float
    baseline_ratio: float
    change: float
    low: float
    high: float

    @property
    def untested(self) -> bool:
        """Whether there is no interval, since it takes two rounds or more."""
        return not np.isfinite(self.high)

    @property
    def slower(self) -> bool:
        """Whether it is significantly slower, by more than the minimum effect."""
        return self.high < 1 - MINIMUM_EFFECT

    @property
    def faster(self) -> bool:
        """Whether it is significantly faster, by more than the minimum effect."""
        return self.low > 1 / (1 - MINIMUM_EFFECT)


def changes(night: pd.DataFrame, baseline: pd.DataFrame) -> list[Change]:
    """Return the change of every configuration and phase that both measured on the same device.

    Both are rows of the ``throughput`` table.
    """
    ours, theirs = _quotients(latest(night)), _quotients(latest(baseline))
    common = [key for key in ours if key in theirs]
    return [_change(key, ours[key], theirs[key], LEVEL / len(common)) for key in common]


def not_measured(
    night: pd.DataFrame, baseline: pd.DataFrame, trained_on: Collection[str] = ()
) -> dict[tuple[str, str], list[str]]:
    """Return, by configuration, the phases that only the baseline measured.

    Measurements on devices that the night neither timed nor trained on (``trained_on``) are not
    missing.
    """
    ours, theirs = _quotients(latest(night)), _quotients(latest(baseline))
    devices = {key[0] for key in ours} | set(trained_on)
    missing: dict[tuple[str, str], list[str]] = {}
    for key in theirs:
        if key[0] in devices and key not in ours:
            missing.setdefault((key[3], key[4]), []).append(key[5])
    return missing


def why_not_compared(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why no ratio of the night can be compared with the baseline."""
    ours, theirs = _quotients(latest(night)), _quotients(latest(baseline))
    if not theirs:
        return "the baseline was not timed"
    if not ours:
        return "nothing was timed tonight"
    here, there = ({key[0] for key in keys} for keys in (ours, theirs))
    if not here & there:
        names = (", ".join(sorted(devices)) for devices in (here, there))
        return "tonight's timings are of {}, the baseline's of {}".format(*names)
    return "no backend was timed in the same way in both"


def _quotients(samples: pd.DataFrame) -> dict[tuple[str, ...], npt.NDArray[np.float64]]:
    """Return the quotients of reference time and backend time, without the references themselves.

    The key is device, dtype, threads, variant, backend and phase.
    """
    found: dict[tuple[str, ...], npt.NDArray[np.float64]] = {}
    for key, rounds in quotients(samples, MEASURED_ALIKE).items():
        *alike, variant, phase, backend, aa_control = key
        is_reference = backend == reference_backend(VARIANTS[variant])
        if rounds is not None and not aa_control and not is_reference:
            found[(*map(str, alike), str(variant), str(backend), str(phase))] = rounds
    return found


def _change(
    key: tuple[str, ...],
    ours: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64],
    level: float,
) -> Change:
    def quotient(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], axis: int = -1) -> Any:
        return np.median(a, axis=axis) / np.median(b, axis=axis)

    low, high = 0.0, np.inf
    if min(len(ours), len(theirs)) > 1:
        low, high = bootstrap_interval([ours, theirs], quotient, RESAMPLES, 1 - level)
    ratio, baseline_ratio = float(np.median(ours)), float(np.median(theirs))
    device_name, _, _, variant, backend, phase = key
    change = ratio / baseline_ratio
    return Change(device_name, variant, backend, phase, ratio, baseline_ratio, change, low, high)
