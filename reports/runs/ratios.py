"""Throughput as ratios to the reference backend in the same measurement, with intervals.

A bare time from a shared machine means little. Within a round all backends are timed within
seconds of one another, so that the ratio of their times is one of equal conditions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from bench.plan.grid import reference_backend
from bench.store.records import OK
from hnrnn.variants import VARIANTS

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """A backend's tokens per second over the reference's, in one phase of one measurement.

    ``low`` and ``high`` bound the bootstrap interval of the ratio, NaN for a single round.
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


def latest(samples: pd.DataFrame) -> pd.DataFrame:
    """Return, of every variant and device, the rows of its latest measurement.

    ``samples`` are rows of the ``throughput`` table.
    """
    if samples.empty:
        return samples
    keys = ["variant", "device_name", "dtype"]
    newest = samples.sort_values("started_at", kind="stable").groupby(keys)["measurement_id"]
    chosen = samples["measurement_id"] == newest.transform("last").reindex(samples.index)
    return samples[chosen].reset_index(drop=True)


def ratios(samples: pd.DataFrame) -> list[Ratio]:
    """Return every timed configuration and phase of one measurement and device."""
    timed = samples[samples["status"] == OK].copy()
    timed["step_seconds"] = timed["wall_seconds"] / timed["steps"]
    found = []
    for (variant, phase), rows in timed.groupby(["variant", "phase"], sort=False):
        by_configuration = {
            key: configuration.sort_values("round")
            for key, configuration in rows.groupby(["backend", "aa_control"], sort=False)
        }
        reference = by_configuration.get((reference_backend(VARIANTS[str(variant)]), False))
        for (backend, aa_control), configuration in by_configuration.items():
            seconds = configuration["step_seconds"].to_numpy()
            ratio, low, high = np.nan, np.nan, np.nan
            if reference is not None:
                # A round of one of them may be missing where a file was not written here.
                both = reference.merge(configuration, on="round", suffixes=("_of_reference", ""))
                ratio, low, high = median_ratio(
                    both["step_seconds_of_reference"].to_numpy(), both["step_seconds"].to_numpy()
                )
            found.append(
                Ratio(
                    variant=str(variant),
                    backend=str(backend),
                    aa_control=bool(aa_control),
                    phase=str(phase),
                    rounds=len(configuration),
                    tokens_per_second=float(
                        np.median(configuration["tokens"] / configuration["wall_seconds"])
                    ),
                    milliseconds_per_step=1000 * float(np.median(seconds)),
                    ratio=ratio,
                    low=low,
                    high=high,
                )
            )
    return found


def median_ratio(
    reference_seconds: npt.NDArray[np.float64], seconds: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the median over rounds of ``reference_seconds / seconds``, and its 95% interval.

    Both have shape (rounds,), round by round: it is the rounds that are resampled, by scipy's
    percentile bootstrap with a fixed seed. The interval is NaN for fewer than two rounds, and all
    is for none.
    """
    quotients = reference_seconds / seconds
    if not len(quotients):
        return np.nan, np.nan, np.nan
    middle = float(np.median(quotients))
    if len(quotients) < 2:
        return middle, np.nan, np.nan
    interval = stats.bootstrap(
        (quotients,),
        np.median,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return middle, float(interval.low), float(interval.high)
