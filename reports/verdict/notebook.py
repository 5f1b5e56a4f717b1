"""Does the notebook reproduce? Its tables are compared with our seeds by exact rank tests.

If the notebook's run is one more seed, its rank among ours is uniform, whatever the distribution.
The global envelope test of the whole table, by extreme rank length, decides, after Holm's
correction for the number of variants. Three more tests are shown beside it and decide nothing: the
same by the area measure, the envelope test of the accuracy column, and the two-sided rank of the
final accuracy.

Extreme rank length was chosen before any table was tested. It is the measure that Myllymäki et al.
(2017) define, the default of their R package GET, and it depends on ranks alone: the columns of a
table have different units and scales. To look at several measures and take the smallest p-value
would not keep the level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np
import pandas as pd

from hnrnn.variants import VARIANTS
from reports.runs.curves import curves
from reports.statistics.envelope import area_p_value, envelope_p_value, smallest_p_value
from reports.statistics.ranks import (
    clopper_pearson,
    holm,
    joint_p_value,
    rank_p_value,
    seeds_needed,
)

AGREES, DIFFERS, INCONCLUSIVE = "agrees", "differs", "inconclusive"
LEVEL = 0.05


@dataclass(frozen=True)
class PValues:
    """The p-values of a variant's four tests; NaN without seeds.

    ``table`` decides. ``table_by_area`` shows how much it depends on the measure of extremeness.
    """

    table: float
    table_by_area: float
    accuracy: float
    final_accuracy: float


@dataclass(frozen=True)
class Agreement:
    """One variant's table in the notebook compared with our seeds.

    ``p`` holds its p-values, and ``holm`` the same adjusted for the number of variants.
    ``as_extreme`` counts our seeds whose whole table is at least as extreme as the notebook's;
    ``share_low`` and ``share_high`` bound the probability of such a run (Clopper-Pearson, 95%).
    """

    variant: str
    backend: str | None
    """The backend of our seeds; None without seeds."""
    seeds: int
    p: PValues
    holm: PValues
    as_extreme: int
    share_low: float
    share_high: float
    verdict: str


@dataclass(frozen=True)
class Certificate:
    """All variants' agreements, and their joint verdict.

    ``joint_p`` is Fisher's p-value, from the eight whole-table p-values.
    """

    agreements: tuple[Agreement, ...]
    joint_p: float
    verdict: str
    level: float
    seeds_needed: int
    """Seeds per variant that the whole-table test needs to be able to reject."""


def hold_against_notebook(
    epochs: pd.DataFrame, tables: pd.DataFrame, level: float = LEVEL
) -> Certificate:
    """Compare every variant's published table with our seeds.

    ``epochs`` has one row per run and epoch, of one backend per variant; ``tables`` holds the
    notebook's. Runs that did not complete their recipe are left out.
    """
    backends = dict(zip(epochs["variant"], epochs["backend"], strict=True))
    tested = {variant: _p_values(variant, epochs, tables) for variant in VARIANTS}
    adjusted = holm_of_columns([p for _, p in tested.values()])
    needed = seeds_needed(
        max(sum(seeds > 0 for seeds, _ in tested.values()), 1), level, smallest_p_value
    )
    agreements = []
    for (variant, (seeds, p)), holm_p in zip(tested.items(), adjusted, strict=True):
        as_extreme = round(p.table * (seeds + 1)) - 1 if seeds else 0
        share_low, share_high = clopper_pearson(as_extreme, seeds)
        agreements.append(
            Agreement(
                variant=variant,
                backend=backends.get(variant),
                seeds=seeds,
                p=p,
                holm=holm_p,
                as_extreme=as_extreme,
                share_low=share_low,
                share_high=share_high,
                verdict=_verdict(holm_p.table, level, enough=seeds >= needed),
            )
        )
    verdicts = [agreement.verdict for agreement in agreements]
    overall = next((v for v in (DIFFERS, INCONCLUSIVE) if v in verdicts), AGREES)
    joint_p = joint_p_value([agreement.p.table for agreement in agreements])
    return Certificate(tuple(agreements), joint_p, overall, level, needed)


def holm_of_columns(p_values: Sequence[PValues]) -> list[PValues]:
    """Return each variant's p-values adjusted for the number of variants, test by test."""
    adjusted = np.apply_along_axis(holm, 0, [astuple(p) for p in p_values])
    return [PValues(*row) for row in adjusted.tolist()]


def _verdict(p_value: float, level: float, *, enough: bool) -> str:
    if p_value <= level:
        return DIFFERS
    return AGREES if enough else INCONCLUSIVE


def _p_values(variant: str, epochs: pd.DataFrame, tables: pd.DataFrame) -> tuple[int, PValues]:
    """Return how many seeds there are, and the p-values of the four tests."""
    ours = curves(epochs, variant)
    if ours.empty:
        return 0, PValues(np.nan, np.nan, np.nan, np.nan)
    notebook = curves(tables, variant, key="model").iloc[0]
    accuracy = notebook["accuracy"].to_numpy(), ours["accuracy"].to_numpy()
    return len(ours), PValues(
        envelope_p_value(notebook.to_numpy(), ours.to_numpy()),
        area_p_value(notebook.to_numpy(), ours.to_numpy()),
        envelope_p_value(*accuracy),
        rank_p_value(accuracy[0][-1], accuracy[1][:, -1]),
    )
