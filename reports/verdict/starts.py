"""Do runs start as known runs of their seeds do: the reference's, or the baseline's?"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from bench.text import counted
from hnrnn.distances import NO_SEED, OTHER_DTYPE, OTHER_WEIGHTS
from reports.runs.departures import FASTAI, OURS
from reports.verdict.pairs import Partners

BASELINE = "the baseline"
WHOSE = {
    FASTAI: f"{FASTAI}'s run", OURS: "our published run", BASELINE: "the baseline's run",
}  # fmt: skip
"""The runs that have a seed, in words."""


@dataclass(frozen=True)
class OtherStart:
    """A configuration whose runs start from other initial weights than known runs of its seeds."""

    name: str
    whose: str
    """Whose runs these are: a key of ``WHOSE``."""
    seeds: int
    """How many seeds do."""
    of_seeds: int
    """How many seeds are held to these runs."""

    def sentence(self) -> str:
        """Say so."""
        return (
            f"{self.name} starts from other initial weights than {WHOSE[self.whose]} of its seed "
            f"({self.seeds} of {counted(self.of_seeds, 'seed')})"
        )


def starts_of(
    cells: pd.DataFrame, unheld: pd.DataFrame, may_depart: Collection[str], partners: Partners
) -> pd.DataFrame:
    """Return all runs with ``whose`` run has their seed, and whether it starts from ``other``.

    A run that has no reference, or may depart from it, is held to the baseline. It is ``unpaired``
    where the baseline has no run of its seed, unless it has no reference either and other runs of
    its configuration are paired. ``alone`` are cells of such runs that do depart.
    """
    runs = pd.concat([cells.drop_duplicates("run_id"), unheld.assign(alone=False)])
    reasons, accepted = runs["reason"], runs["name"].isin(may_depart)
    open_ = runs["alone"] | reasons.isin([NO_SEED, OTHER_DTYPE])
    open_ |= accepted & (reasons == OTHER_WEIGHTS)
    others = runs["run_id"].isin(partners.other_starts)
    is_paired = runs["run_id"].isin(partners.ours)
    by_baseline = open_ & (others | is_paired)
    fresh = (reasons == NO_SEED) & runs["name"].isin(runs.loc[is_paired, "name"])
    return runs.assign(
        whose=runs["reference_name"].mask(by_baseline, BASELINE),
        other=((reasons == OTHER_WEIGHTS) & ~accepted) | (others & open_),
        unpaired=accepted & open_ & ~by_baseline & ~fresh & (reasons != OTHER_DTYPE),
    )[by_baseline | (reasons != OTHER_DTYPE)]


def other_starts(runs: pd.DataFrame) -> list[OtherStart]:
    """Return the configurations with other initial weights than known runs of their seeds."""
    counts = (
        runs.assign(other=runs["seed"].where(runs["other"]))
        .groupby(["name", "whose"])
        .agg(seeds=("other", "nunique"), of_seeds=("seed", "nunique"))
    )
    return [
        OtherStart(row["name"], row["whose"], row["seeds"], row["of_seeds"])
        for row in counts[counts["seeds"] > 0].reset_index().to_dict(orient="records")
    ]


def unrecorded(
    unheld: pd.DataFrame, may_depart: Collection[str], partners: Partners, *, some: bool
) -> tuple[str, ...]:
    """Return the configurations whose initial weights are not recorded.

    Where none at all are (``some`` says that those of other runs are), only what may depart and
    has no partner.
    """
    missing = unheld["initial_weights_sha256"].isna()
    if missing.all() and not some:
        missing &= unheld["name"].isin(may_depart) & ~unheld["run_id"].isin(partners.ours)
    return tuple(sorted(set(unheld.loc[missing, "name"])))
