"""Third-party runs: which initial BatchNorm weights explain each of them.

Before PyTorch 1.2, BatchNorm weights were drawn from U(0, 1); since then they start at 1. Most
published runs do not record their PyTorch version. A run is compatible with a start if the global
envelope test of its whole table does not reject it among our seeds of that start. A run that is
compatible with both is undecided.

The p-values take many seeds and seconds. ``reports third-party`` computes them once; they are
published with the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from hnrnn.variants import VARIANTS
from reports.runs.comparison import rank
from reports.runs.curves import curves
from reports.statistics.envelope import envelope_p_value, extreme_rank_lengths, p_values_of_each
from reports.statistics.ranks import rank_p_value

LEVEL = 0.05
STARTS = ("ones", "uniform")
FOLDER = Path(__file__).parents[1] / "published" / "third_party"
RUNS, OWN_SEEDS = "runs.csv", "own_seeds.csv"
PYTORCH_1_2 = "2019-08-08"
"""The day on which it was released. A run that was committed before started uniformly."""
ERAS = (f"before PyTorch 1.2 ({PYTORCH_1_2})", "since then")


@dataclass(frozen=True)
class Outcomes:
    """How many runs are compatible with one start only, with both, or with neither."""

    ones: int
    uniform: int
    undecided: int
    neither: int

    @property
    def runs(self) -> int:
        """All of them."""
        return self.ones + self.uniform + self.undecided + self.neither

    @classmethod
    def of(cls, p_values: pd.DataFrame) -> Outcomes:
        """Count runs, one row each, by ``ones_p`` and ``uniform_p``; NaN is not compatible."""
        ones, uniform = (p_values[f"{start}_p"].to_numpy() > LEVEL for start in STARTS)
        found = (ones & ~uniform, uniform & ~ones, ones & uniform, ~ones & ~uniform)
        return cls(*(int(each.sum()) for each in found))


@dataclass(frozen=True)
class Explained:
    """What is known of a variant's third-party runs.

    ``ones_seeds`` and ``uniform_seeds`` are our own seeds of either start, each held against all
    others as a third-party run is: how often the method is right. ``notebook_table_p`` and
    ``notebook_accuracy_p`` are the p-values of the notebook's own run among the published ones, by
    its whole table and by its final accuracy. ``notebook_rank`` is the rank of its final accuracy
    among the runs and itself, where 1 is the lowest.
    """

    variant: str
    published: Outcomes
    ones_seeds: Outcomes
    uniform_seeds: Outcomes
    notebook_rank: float
    notebook_table_p: float
    notebook_accuracy_p: float


@dataclass(frozen=True)
class ThirdParty:
    """Third-party runs by variant, and all of them by ``ERAS``."""

    by_variant: tuple[Explained, ...]
    by_era: Mapping[str, Outcomes]


def hold_runs(published: pd.DataFrame, ones: pd.DataFrame, uniform: pd.DataFrame) -> pd.DataFrame:
    """Return one row per third-party run: model, run, committed, ones_p and uniform_p.

    ``published`` is ``hnrnn.published.third_party_runs()``; ``ones`` and ``uniform`` have one row
    per run and epoch. A p-value is NaN without seeds.
    """
    parts = []
    for variant in VARIANTS:
        theirs = curves(published, variant, key="run")
        columns = {
            f"{start}_p": _p_values(theirs, curves(ours, variant))
            for start, ours in zip(STARTS, (ones, uniform), strict=True)
        }
        parts.append(pd.DataFrame({"model": variant, "run": theirs.index, **columns}))
    dates = published[["model", "run", "committed"]].drop_duplicates()
    found = pd.concat(parts, ignore_index=True).merge(dates, on=["model", "run"])
    return found[["model", "run", "committed", "ones_p", "uniform_p"]]


def hold_own_seeds(ones: pd.DataFrame, uniform: pd.DataFrame) -> pd.DataFrame:
    """Return one row per variant and start with the outcomes of our own seeds.

    Each seed is held against all others of its start, and against all seeds of the other start.
    """
    rows = []
    for variant in VARIANTS:
        by_start = [curves(ours, variant) for ours in (ones, uniform)]
        for start, own, other in zip(STARTS, by_start, by_start[::-1], strict=True):
            among_own = extreme_rank_lengths(own) if len(own) else np.empty(0)
            p_values = {start: among_own, _other(start): _p_values(own, other)}
            outcomes = Outcomes.of(pd.DataFrame(p_values).add_suffix("_p"))
            rows.append({"model": variant, "start": start, **asdict(outcomes)})
    return pd.DataFrame(rows)


def explain(
    runs: pd.DataFrame, own_seeds: pd.DataFrame, published: pd.DataFrame, tables: pd.DataFrame
) -> ThirdParty:
    """Count what ``hold_runs`` and ``hold_own_seeds`` have found; ``tables`` is the notebook's."""
    own = {
        (str(model), str(start)): Outcomes(*map(int, counts))
        for model, start, *counts in own_seeds.itertuples(index=False)
    }
    rows = []
    for variant, found in ((str(name), group) for name, group in runs.groupby("model")):
        notebook = curves(tables, variant, key="model").iloc[0]
        theirs = curves(published, variant, key="run")
        final = float(notebook["accuracy"].iloc[-1])
        finals = theirs["accuracy"].to_numpy()[:, -1]
        rows.append(
            Explained(
                variant=variant,
                published=Outcomes.of(found),
                ones_seeds=own[variant, "ones"],
                uniform_seeds=own[variant, "uniform"],
                notebook_rank=rank(final, finals),
                notebook_table_p=envelope_p_value(notebook.to_numpy(), theirs.to_numpy()),
                notebook_accuracy_p=rank_p_value(final, finals),
            )
        )
    before = runs["committed"] < PYTORCH_1_2
    eras = dict(zip(ERAS, (runs[before], runs[~before]), strict=True))
    return ThirdParty(tuple(rows), {era: Outcomes.of(found) for era, found in eras.items()})


@cache
def read_published(folder: Path = FOLDER) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the published ``hold_runs`` and ``hold_own_seeds``, or None if ``folder`` has none."""
    if not (folder / RUNS).exists():
        return None
    return pd.read_csv(folder / RUNS), pd.read_csv(folder / OWN_SEEDS)


def _other(start: str) -> str:
    return STARTS[1 - STARTS.index(start)]


def _p_values(theirs: pd.DataFrame, ours: pd.DataFrame) -> npt.NDArray[np.float64]:
    if ours.empty:
        return np.full(len(theirs), np.nan)
    return p_values_of_each(theirs.to_numpy(), ours.to_numpy())
