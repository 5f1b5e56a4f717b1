"""Throughput as ratios to the reference backend in the same measurement, with intervals.

A bare time from a shared machine means little. Within a round, all backends are timed within
seconds of one another, so that the ratio of their times compares equal conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.plan.grid import reference_backend
from bench.store.records import OK
from hnrnn.variants import VARIANTS

LEVEL = 0.95
RESAMPLES = 2000
CONFIGURATION = ["variant", "phase", "backend", "aa_control"]
"""The columns that identify a timed configuration and phase."""
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


def quotients(samples: pd.DataFrame, by: Sequence[str] = ()) -> dict[Key, Quotients]:
    """Return the reference's seconds per step over each configuration's, shape (rounds,).

    The keys are values of the columns ``by`` and ``CONFIGURATION``; rows that agree in ``by`` are
    of one measurement. Only rounds that both have count. Without a timed reference the quotients
    are None.
    """
    timed = samples[samples["status"] == OK]
    seconds: dict[Key, pd.Series[float]] = {
        tuple(key): (rows["wall_seconds"] / rows["steps"]).set_axis(rows["round"]).sort_index()
        for key, rows in timed.groupby([*by, *CONFIGURATION], sort=False)
    }
    found: dict[Key, Quotients] = {}
    for key, own in seconds.items():
        reference = reference_backend(VARIANTS[key[-4]])
        theirs = seconds.get((*key[:-2], reference, False))
        found[key] = None if theirs is None else np.asarray((theirs / own).dropna(), np.float64)
    return found


def ratios(samples: pd.DataFrame) -> list[Ratio]:
    """Return every timed configuration and phase of one measurement and device."""
    timed = samples[samples["status"] == OK]
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
