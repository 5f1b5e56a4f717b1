"""The notebook's values beside the distribution of ours: pure functions on frames and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hnrnn.published import MEASURES
from reports.runs.curves import DECIMALS

LOW, HIGH = 0.025, 0.975
"""The quantiles that bound the central 95% of our seeds."""


def rank(value: float, sample: npt.NDArray[np.float64]) -> float:
    """Return the position of ``value`` in ``sample`` and itself, from 1 (smallest) to N + 1.

    ``sample`` has shape (N,). Values equal to ``value`` count half, so that the rank of a tie is
    the mean of the ranks that it spans; NaN, from a diverged run, counts as larger than any.
    """
    less = np.count_nonzero(sample < value)
    equal = np.count_nonzero(sample == value)
    return float(1 + less + equal / 2)


@dataclass(frozen=True)
class Comparison:
    """One published value beside our seeds of the same variant, epoch and measure.

    Where there are no seeds, ``median``, ``low``, ``high`` and ``rank`` are NaN. The quantiles are
    those of the finite values.
    """

    variant: str
    epoch: int
    measure: str
    notebook: float
    seeds: int
    median: float
    low: float
    high: float
    rank: float

    @property
    def outside(self) -> bool:
        """Whether the notebook's value is outside the central 95% of our seeds."""
        return self.notebook < self.low or self.notebook > self.high


def compare(epochs: pd.DataFrame, published: pd.DataFrame) -> list[Comparison]:
    """Hold every published value against our seeds, in the order of the published rows.

    ``epochs`` has one row per run and epoch, ``published`` one per model and epoch.
    """
    samples = {
        (variant, epoch, measure): group[measure].to_numpy(dtype=np.float64).round(DECIMALS)
        for (variant, epoch), group in epochs.groupby(["variant", "epoch"])
        for measure in MEASURES
    }
    comparisons = []
    for row in published.to_dict(orient="records"):
        for measure in MEASURES:
            sample = samples.get((row["model"], row["epoch"], measure), np.array([]))
            low, median, high = _quantiles(sample)
            comparisons.append(
                Comparison(
                    variant=row["model"],
                    epoch=row["epoch"],
                    measure=measure,
                    notebook=row[measure],
                    seeds=len(sample),
                    median=median,
                    low=low,
                    high=high,
                    rank=rank(row[measure], sample) if len(sample) else np.nan,
                )
            )
    return comparisons


def expected_share_outside(comparisons: Sequence[Comparison]) -> float:
    """Return about which share of values one more seed of ours would have ``outside``.

    An order statistic at position k of N leaves k / (N + 1) below it on average, and the 2.5%
    quantile is taken at position 1 + 0.025 (N - 1): of few seeds, more than 5% lie outside.
    """
    seeds = np.array([comparison.seeds for comparison in comparisons])
    return float(np.minimum(1, 2 * (1 + LOW * (seeds - 1)) / (seeds + 1)).mean())


def _quantiles(sample: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    finite = sample[np.isfinite(sample)]
    if not len(finite):
        return (np.nan, np.nan, np.nan)
    low, median, high = np.quantile(finite, [LOW, 0.5, HIGH])
    return float(low), float(median), float(high)
