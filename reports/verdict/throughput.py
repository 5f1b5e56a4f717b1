"""Is something slower than in the baseline? Ratios inside one measurement, held against others.

A backend is held by its ratio to the reference, and the reference by its ratio to the calibration
workload, so that a slow-down of the reference alone or of everything is seen too. Only the ratios
of two measurements are compared, because a bare time from a shared machine means nothing.

Where the CPU time was recorded, it is held beside the time by the clock: it varies far less on a
machine with other work, but does not see a step that waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from bench.plan.grid import reference_backend
from bench.store.records import CALIBRATION
from hnrnn.variants import VARIANTS
from reports.runs.ratios import (
    DEVICE,
    WALL,
    calibrated,
    latest,
    median_error,
    quotients,
    versions,
)

LEVEL = 0.01
"""The probability that a night without a change fails, if the spreads below hold for it. It is low,
because no second measurement confirms a slow-down."""
SPREADS = {
    (WALL, False): 0.015,
    (WALL, True): 0.02,
    (DEVICE, False): 0.015,
    (DEVICE, True): 0.02,
}
"""How far the logarithm of a ratio varies from one measurement to the next, for reasons such as
memory layout, beyond what its rounds show: by clock, and by whether the ratio is to the calibration
workload. A standard deviation; ``docs/statistics.md`` says how it was measured. A measurement whose
A/A controls vary more counts with theirs."""
POWER = 0.9

MEASURED_ALIKE = ["device_name", "dtype", "threads"]
"""Columns in which two measurements must be alike to be compared."""
Key = tuple[str, ...]
"""Device, dtype, threads, variant, phase, backend, clock, and what the ratio is to."""


ALL_MODELS, ALL_REFERENCES = "all models", "reference"
"""What stands for the mean over the references, in which a slow-down of everything shows first."""


@dataclass(frozen=True)
class Ratio:
    """A ratio in one measurement: the logarithm of its median, and how far that may be off."""

    level: float
    error: float
    """The standard error over the rounds."""
    spread: float
    """The standard deviation between measurements."""


@dataclass(frozen=True)
class Change:
    """A ratio tonight and in the baseline: a backend's to the reference, or the reference's own.

    ``change`` is tonight's ratio over the baseline's, and ``low`` and ``high`` bound its interval,
    at a level corrected for the number of changes.
    """

    device_name: str
    variant: str
    backend: str
    phase: str
    clock: str
    """``wall_seconds`` or ``device_seconds``."""
    ratio: float
    baseline_ratio: float
    change: float
    low: float
    high: float
    visible: float
    """The largest ``change`` below 1 that would have been found with probability ``POWER``."""
    absolute: bool = False
    """Whether this is a reference, or the mean over all, whose ratio is to the calibration
    workload."""

    @property
    def untested(self) -> bool:
        """Whether there is no interval, since it takes two rounds or more."""
        return not np.isfinite(self.high)

    @property
    def slower(self) -> bool:
        """Whether it is significantly slower."""
        return self.high < 1

    @property
    def faster(self) -> bool:
        """Whether it is significantly faster."""
        return self.low > 1

    @property
    def held_to(self) -> str:
        """What the ratio is to, and by which clock, in words."""
        beside = "the calibration workload" if self.absolute else "the reference"
        return f"{beside}, by CPU time" if self.clock == DEVICE else beside

    def sentence(self) -> str:
        """Return the change in a line."""
        return (
            f"{self.variant} {self.backend}: {self.phase} at {self.change:.2f} of the baseline's "
            f"throughput ({self.low:.2f} to {self.high:.2f}), relative to {self.held_to}"
        )


def changes(night: pd.DataFrame, baseline: pd.DataFrame) -> list[Change]:
    """Return the change of every ratio that both measured on the same device.

    Both are rows of the ``throughput`` table.
    """
    return compare(ratios_of(night), ratios_of(baseline))


def compare(ours: Mapping[Key, Ratio], theirs: Mapping[Key, Ratio]) -> list[Change]:
    """Return the change of every ratio that both have, and of the mean over the references."""
    pairs = {key: (ours[key], theirs[key]) for key in ours if key in theirs}
    references: dict[Key, list[tuple[Ratio, Ratio]]] = {}
    for key, pair in pairs.items():
        if is_absolute(key):
            everywhere = (*key[:3], ALL_MODELS, key[4], ALL_REFERENCES, *key[6:])
            references.setdefault(everywhere, []).append(pair)
    for key, several in references.items():
        if len(several) > 1:
            own, others = zip(*several, strict=True)
            pairs[key] = (_mean(own), _mean(others))
    return [_change(key, *pair, LEVEL / len(pairs)) for key, pair in pairs.items()]


def why_not_compared(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why no ratio of the night can be compared with the baseline."""
    ours, theirs = ratios_of(night), ratios_of(baseline)
    if not theirs:
        return "the baseline was not timed"
    if not ours:
        return "nothing was timed tonight"
    here, there = ({key[0] for key in keys} for keys in (ours, theirs))
    if not here & there:
        names = (", ".join(sorted(devices)) for devices in (here, there))
        return "tonight's timings are of {}, the baseline's of {}".format(*names)
    return "no backend was timed in the same way in both"


def why_not_absolute(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why no reference can be held by the calibration workload; empty where one can."""
    ours, theirs = (versions(latest(samples)) for samples in (night, baseline))
    if set(ours) & set(theirs):
        return ""
    if not ours and not theirs:
        return "neither night has the calibration workload"
    names = [" and ".join(each) or "no calibration workload" for each in (ours, theirs)]
    return "tonight has {}, the baseline has {}".format(*names)


def ratios_of(night: pd.DataFrame) -> dict[Key, Ratio]:
    """Return every ratio of a night that is judged; A/A controls only tell how far these vary."""
    found: dict[Key, Ratio] = {}
    samples = latest(night)
    clocks = {WALL: samples, DEVICE: samples[samples["device"] == "cpu"]}
    for clock, rows in clocks.items():
        controls: dict[Key, list[float]] = {}  # their variances between measurements
        rounds: dict[Key, npt.NDArray[np.float64]] = {}
        for key, logs in _logarithms(rows, clock):
            if key[-1] == "control":
                if len(logs) > 1:
                    own = float(np.median(logs)) ** 2 - median_error(logs) ** 2
                    controls.setdefault(key[:3], []).append(own)
            else:
                rounds[key] = logs
        for key, logs in rounds.items():
            own = float(np.mean(controls.get(key[:3], [0.0])))
            spread = max(SPREADS[clock, is_absolute(key)], np.sqrt(max(0.0, own)))
            found[key] = Ratio(float(np.median(logs)), median_error(logs), float(spread))
    return found


def is_absolute(key: Key) -> bool:
    """Say whether a ratio is a reference's to the calibration workload."""
    return key[-1] != "reference"


def _mean(ratios: Sequence[Ratio]) -> Ratio:
    """Return the mean of ratios whose rounds are independent, and whose spread is not."""
    error = np.sqrt(np.sum([each.error**2 for each in ratios])) / len(ratios)
    level, spread = (np.mean([getattr(r, name) for r in ratios]) for name in ("level", "spread"))
    return Ratio(float(level), float(error), float(spread))


def _logarithms(samples: pd.DataFrame, clock: str) -> Iterator[tuple[Key, npt.NDArray[np.float64]]]:
    """Yield the logarithms of the ratios in each round, shape (rounds,), with their keys.

    A key ends with what the ratio is to: the ``reference``, a version of the calibration workload,
    or ``control`` for the reference's own to itself.
    """
    for key, rounds in quotients(samples, MEASURED_ALIKE, clock).items():
        *alike, variant, phase, backend, aa_control = key
        is_reference = backend == reference_backend(VARIANTS[variant])
        if rounds is not None and len(rounds) and (aa_control or not is_reference):
            to = "control" if aa_control else "reference"
            yield (*map(str, (*alike, variant, phase, backend, clock)), to), np.log(rounds)
    workloads = samples[samples["backend"] == CALIBRATION]
    for version, _ in workloads.groupby("kernel"):
        rows = samples[(samples["backend"] != CALIBRATION) | (samples["kernel"] == version)]
        for key, rounds in calibrated(rows, MEASURED_ALIKE, clock).items():
            if len(rounds):
                yield (*map(str, (*key[:-1], clock)), str(version)), np.log(rounds)


def _change(key: Key, ours: Ratio, theirs: Ratio, level: float) -> Change:
    device_name, _, _, variant, phase, backend, clock, _ = key
    change = ours.level - theirs.level
    error = float(np.linalg.norm([ours.error, ours.spread, theirs.error, theirs.spread]))
    low, high, visible = 0.0, np.inf, 0.0
    if np.isfinite(error):
        half = -float(ndtri(level / 2)) * error
        low, high = exp(change - half), exp(change + half)
        visible = exp(-half - float(ndtri(POWER)) * error)
    return Change(
        device_name=device_name,
        variant=variant,
        backend=backend,
        phase=phase,
        clock=clock,
        ratio=exp(ours.level),
        baseline_ratio=exp(theirs.level),
        change=exp(change),
        low=low,
        high=high,
        visible=visible,
        absolute=is_absolute(key),
    )
