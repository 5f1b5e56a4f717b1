"""The notebook's values beside the distribution of ours."""

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
    """Return the midrank of ``value`` among ``sample``, shape (N,), and itself: 1 to N + 1.

    NaN in the sample, from a diverged run, counts as larger than any number.
    """
    return float(1 + ((sample < value).sum() + (sample <= value).sum()) / 2)


@dataclass(frozen=True)
class Comparison:
    """One published value beside our seeds of the same variant, epoch and measure.

    The quantiles are those of the finite values. Without seeds, they and ``rank`` are NaN.
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
        """Whether the notebook's value lies outside the central 95% of our seeds."""
        return self.notebook < self.low or self.notebook > self.high


def compare(epochs: pd.DataFrame, published: pd.DataFrame) -> list[Comparison]:
    """Compare every published value with our seeds, in the order of the published rows.

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
            finite = sample[np.isfinite(sample)]
            quantiles = np.quantile(finite, [LOW, 0.5, HIGH]) if len(finite) else [np.nan] * 3
            low, median, high = map(float, quantiles)
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
    """Return the approximate share of values that one more seed of ours would have ``outside``.

    On average k / (N + 1) lies below the order statistic at position k of N, and the 2.5% quantile
    is at position 1 + 0.025 (N - 1): with few seeds, more than 5% lie outside.
    """
    seeds = np.array([comparison.seeds for comparison in comparisons])
    return float(np.minimum(1, 2 * (1 + LOW * (seeds - 1)) / (seeds + 1)).mean())
