"""Throughput as ratios to the reference backend in the same measurement, with intervals.

A bare time from a shared machine means little. Within a round, all backends are timed within
seconds of one another, so that the ratio of their times compares equal conditions. The reference
itself is compared with the calibration workload, which no change of this project touches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import betainc

from bench.plan.grid import reference_backend
from bench.store.records import CALIBRATION, OK
from hnrnn.variants import VARIANTS

LEVEL = 0.95
RESAMPLES = 2000
CONFIGURATION = ["variant", "phase", "backend", "aa_control"]
"""The columns that identify a timed configuration and phase."""
WALL, DEVICE = "wall_seconds", "device_seconds"
Key = tuple[Any, ...]
Quotients = npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class Ratio:
    """A backend's tokens per second over the reference's, in one phase of one measurement.

    ``low`` and ``high`` bound its bootstrap interval; they are NaN for a single round.
    """

    variant: str
    backend: str
    aa_control: bool
    phase: str
    rounds: int
    tokens_per_second: float
    milliseconds_per_step: float
    ratio: float
    low: float
    high: float

    @property
    def label(self) -> str:
        """The backend in words; its A/A control is marked."""
        return f"{self.backend} (A/A control)" if self.aa_control else self.backend


def latest(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the latest measurement of every variant, device and dtype.

    ``samples`` are rows of the ``throughput`` table.
    """
    if samples.empty:
        return samples
    keys = ["variant", "device_name", "dtype"]
    newest = samples.sort_values("started_at", kind="stable").groupby(keys)["measurement_id"]
    chosen = samples["measurement_id"] == newest.transform("last").reindex(samples.index)
    return samples[chosen].reset_index(drop=True)


def quotients(
    samples: pd.DataFrame, by: Sequence[str] = (), clock: str = WALL
) -> dict[Key, Quotients]:
    """Return the reference's seconds per step over each configuration's, shape (rounds,).

    The keys are values of the columns ``by`` and ``CONFIGURATION``; rows that agree in ``by`` are
    of one measurement. Only rounds that both have count. Without a timed reference the quotients
    are None. ``clock`` is the column of seconds. The calibration workload has no key.
    """
    seconds = _seconds_per_step(samples, by, clock)
    found: dict[Key, Quotients] = {}
    for key, own in seconds.items():
        theirs = seconds.get((*key[:-2], _reference(key), False))
        if key[-2] != CALIBRATION:
            found[key] = None if theirs is None else _divide(theirs, own)
    return found


def calibrated(
    samples: pd.DataFrame, by: Sequence[str] = (), clock: str = WALL
) -> dict[Key, npt.NDArray[np.float64]]:
    """Return the calibration workload's seconds per step over the reference's, shape (rounds,).

    It is the reference's speed in steps of the workload. The keys are those of ``quotients``, of
    the references that were timed beside the workload.
    """
    seconds = _seconds_per_step(samples, by, clock)
    return {
        key: _divide(seconds[*key[:-2], CALIBRATION, False], own)
        for key, own in seconds.items()
        if key[-2:] == (_reference(key), False) and (*key[:-2], CALIBRATION, False) in seconds
    }


def calibration_ratios(samples: pd.DataFrame) -> list[Ratio]:
    """Return the ratio of every reference to the calibration workload, as ``ratios`` does."""
    by_round, found = calibrated(samples), []
    for each in ratios(samples):
        key = (each.variant, each.phase, each.backend, each.aa_control)
        if key in by_round:
            ratio, low, high = median_ratio(by_round[key])
            found.append(replace(each, ratio=ratio, low=low, high=high))
    return found


def versions(samples: pd.DataFrame) -> list[str]:
    """Return the versions of the calibration workload that was timed, in order."""
    return sorted(samples.loc[samples["backend"] == CALIBRATION, "kernel"].dropna().unique())


def ratios(samples: pd.DataFrame) -> list[Ratio]:
    """Return every timed configuration and phase of one measurement and device."""
    timed = samples[(samples["status"] == OK) & (samples["backend"] != CALIBRATION)]
    by_round = quotients(timed)
    found = []
    for key, rows in timed.groupby(CONFIGURATION, sort=False):
        variant, phase, backend, aa_control = key
        ratio, low, high = median_ratio(by_round[key])
        found.append(
            Ratio(
                variant=str(variant),
                backend=str(backend),
                aa_control=bool(aa_control),
                phase=str(phase),
                rounds=len(rows),
                tokens_per_second=float(np.median(rows["tokens"] / rows["wall_seconds"])),
                milliseconds_per_step=1000 * float(np.median(rows["wall_seconds"] / rows["steps"])),
                ratio=ratio,
                low=low,
                high=high,
            )
        )
    return found


def median_error(values: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the median of ``values``, shape (n,); NaN for fewer than two.

    It is that of a bootstrap of infinitely many resamples. (Maritz and Jarrett 1978, *JASA*
    73:194.)
    """
    count = len(values)
    if count < 2:
        return np.nan
    cumulative = betainc((count + 1) / 2, (count + 1) / 2, np.arange(count + 1) / count)
    weights, ordered = np.diff(cumulative), np.sort(values)
    ordered = ordered - np.median(ordered)
    return float(np.sqrt(max(0.0, weights @ ordered**2 - (weights @ ordered) ** 2)))


def median_ratio(quotients: Quotients) -> tuple[float, float, float]:
    """Return the median of ``quotients`` and its 95% interval.

    The interval is bootstrapped over rounds, and NaN for fewer than two. Without rounds the median
    is NaN too.
    """
    if quotients is None or not len(quotients):
        return np.nan, np.nan, np.nan
    middle = float(np.median(quotients))
    if len(quotients) < 2:
        return middle, np.nan, np.nan
    return middle, *bootstrap_interval([quotients], np.median, RESAMPLES, LEVEL)


def _seconds_per_step(
    samples: pd.DataFrame, by: Sequence[str], clock: str
) -> dict[Key, pd.Series[float]]:
    """Return the seconds per step of each timed configuration and phase, by round."""
    timed = samples[(samples["status"] == OK) & samples[clock].gt(0)]
    return {
        tuple(key): (rows[clock] / rows["steps"]).set_axis(rows["round"]).sort_index()
        for key, rows in timed.groupby([*by, *CONFIGURATION], sort=False)
    }


def _reference(key: Key) -> str:
    return reference_backend(VARIANTS[key[-4]])


def _divide(a: pd.Series[float], b: pd.Series[float]) -> npt.NDArray[np.float64]:
    """Return the quotients of the rounds that both have, shape (rounds,)."""
    return np.asarray((a / b).dropna(), np.float64)


def bootstrap_interval(
    samples: Sequence[npt.NDArray[np.float64]],
    statistic: Callable[..., Any],
    resamples: int,
    level: float,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic of independent samples.

    The seed is fixed, so that equal samples give equal intervals.
    """
    from scipy import stats  # slow to import

    interval = stats.bootstrap(
        samples, statistic, n_resamples=resamples, confidence_level=level, method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    return float(interval.low), float(interval.high)
