"""Third-party runs: which initial BatchNorm weights explain each of them.

Before PyTorch 1.2, BatchNorm weights were drawn from U(0, 1); since then they start at 1. Most
published runs do not record their PyTorch version. A run is explained by an initialisation if the
global envelope test of its whole table does not reject it among our seeds of that initialisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hnrnn.variants import VARIANTS
from reports.runs.comparison import rank
from reports.runs.curves import curves
from reports.statistics.envelope import envelope_p_value, p_values_of_each
from reports.statistics.ranks import rank_p_value

LEVEL = 0.05


@dataclass(frozen=True)
class ThirdPartyRun:
    """A published run, with its whole-table p-value for each initialisation; NaN without seeds."""

    variant: str
    ones_p: float
    uniform_p: float


@dataclass(frozen=True)
class Explained:
    """How many published runs of a variant each initialisation explains, at the 5% level.

    ``notebook_table_p`` and ``notebook_accuracy_p`` are the p-values of the notebook's own run
    among the published ones, by its whole table and by its final accuracy. ``notebook_rank`` is the
    rank of its final accuracy among ``runs`` + 1, where 1 is the lowest.
    """

    variant: str
    runs: int
    by_ones: int
    by_uniform: int
    by_both: int
    by_neither: int
    notebook_rank: float
    notebook_table_p: float
    notebook_accuracy_p: float


def third_party_runs(
    published: pd.DataFrame, ones: pd.DataFrame, uniform: pd.DataFrame
) -> list[ThirdPartyRun]:
    """Compare every published run with our seeds of both initialisations.

    ``published`` is ``hnrnn.published.third_party_runs()``; ``ones`` and ``uniform`` have one row
    per run and epoch.
    """
    found = []
    for variant in VARIANTS:
        theirs = curves(published, variant, key="run")
        p_values = [_p_values(theirs, curves(ours, variant)) for ours in (ones, uniform)]
        found += [ThirdPartyRun(variant, *pair) for pair in zip(*p_values, strict=True)]
    return found


def explained(
    runs: list[ThirdPartyRun], published: pd.DataFrame, tables: pd.DataFrame
) -> list[Explained]:
    """Count the published runs that each initialisation explains, for each variant with runs."""
    rows = []
    for variant in VARIANTS:
        own = [run for run in runs if run.variant == variant]
        if not own:
            continue
        by = np.array([[run.ones_p > LEVEL, run.uniform_p > LEVEL] for run in own])
        notebook = curves(tables, variant, key="model").iloc[0]
        theirs = curves(published, variant, key="run")
        final = float(notebook["accuracy"].iloc[-1])
        finals = theirs["accuracy"].to_numpy()[:, -1]
        rows.append(
            Explained(
                variant=variant,
                runs=len(own),
                by_ones=int(by[:, 0].sum()),
                by_uniform=int(by[:, 1].sum()),
                by_both=int(by.all(axis=1).sum()),
                by_neither=int((~by).all(axis=1).sum()),
                notebook_rank=rank(final, finals),
                notebook_table_p=envelope_p_value(notebook.to_numpy(), theirs.to_numpy()),
                notebook_accuracy_p=rank_p_value(final, finals),
            )
        )
    return rows


def _p_values(theirs: pd.DataFrame, ours: pd.DataFrame) -> list[float]:
    if ours.empty:
        return [np.nan] * len(theirs)
    return [float(p) for p in p_values_of_each(theirs.to_numpy(), ours.to_numpy())]
