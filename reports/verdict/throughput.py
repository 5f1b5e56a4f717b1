"""Is a backend slower than in the baseline? Ratios to the reference, measurement by measurement.

A backend's ratio to the reference is taken inside each measurement; what is compared is how far
that ratio has moved. A change that slows the reference and everything else alike is therefore not
seen: a bare time from a shared machine means nothing.
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
from reports.runs.ratios import latest, quotients

MINIMUM_EFFECT = 0.10
"""A slow-down that is smaller is not judged: backends' ratios move by some percent between two
starts of a process, for reasons such as where its memory lies."""
LEVEL = 0.05
RESAMPLES = 4000

MEASURED_ALIKE = ["device_name", "dtype", "threads"]
"""Columns in which two measurements have to be alike to be compared."""


@dataclass(frozen=True)
class Change:
    """A backend's throughput, as a ratio to the reference, beside what it was in the baseline.

    ``change`` is tonight's ratio over the baseline's, ``low`` and ``high`` its bootstrap interval,
    at a level corrected for the number of changes.
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
        """Whether there are too few rounds for an interval: one alone shows nothing."""
        return not np.isfinite(self.high)

    @property
    def slower(self) -> bool:
        """Whether it is slower by more than the minimum effect, and surely."""
        return self.high < 1 - MINIMUM_EFFECT

    @property
    def faster(self) -> bool:
        """Whether it is faster by more than the minimum effect, and surely."""
        return self.low > 1 / (1 - MINIMUM_EFFECT)


def changes(night: pd.DataFrame, baseline: pd.DataFrame) -> list[Change]:
    """Return the change of every configuration and phase that both measured on one device kind.

    Both are rows of the ``throughput`` table.
    """
    ours, theirs = _quotients(latest(night)), _quotients(latest(baseline))
    common = [key for key in ours if key in theirs]
    return [_change(key, ours[key], theirs[key], LEVEL / len(common)) for key in common]


def not_measured(
    night: pd.DataFrame, baseline: pd.DataFrame, trained_on: Collection[str] = ()
) -> dict[tuple[str, str], list[str]]:
    """Return, by configuration, the phases that the baseline has measured and the night has not.

    Only those that the baseline measured on a device that the night timed or trained on, which
    ``trained_on`` names: what another machine measured cannot be missing here.
    """
    ours, theirs = _quotients(latest(night)), _quotients(latest(baseline))
    devices = {key[0] for key in ours} | set(trained_on)
    missing: dict[tuple[str, str], list[str]] = {}
    for key in theirs:
        if key[0] in devices and key not in ours:
            missing.setdefault((key[3], key[4]), []).append(key[5])
    return missing


def why_not_compared(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why no ratio of the night has one in the baseline that it can be held against."""
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
    """Return the quotients of reference time and backend time by device, dtype, threads, ...

    The key ends with variant, backend and phase. The references themselves are left out.
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
        from scipy import stats  # takes a second to import

        interval = stats.bootstrap(
            (ours, theirs),
            quotient,
            n_resamples=RESAMPLES,
            confidence_level=1 - level,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        low, high = float(interval.low), float(interval.high)
    ratio, baseline_ratio = float(np.median(ours)), float(np.median(theirs))
    device_name, _, _, variant, backend, phase = key
    change = ratio / baseline_ratio
    return Change(device_name, variant, backend, phase, ratio, baseline_ratio, change, low, high)
