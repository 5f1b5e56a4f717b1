"""A results folder, read and selected once: what the judge, the pages and the history share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.store.store import Contents
from reports.runs.selection import Selection, is_whole, select

Configuration = tuple[str, str]
"""A variant and a backend."""
CONFIGURATION = ["variant", "backend"]


@dataclass(frozen=True)
class Night:
    """What a results folder holds, and which of its runs are shown and judged."""

    contents: Contents
    selection: Selection

    @classmethod
    def of(cls, contents: Contents, like: Night | None = None) -> Night:
        """Select the runs of ``contents``; of the same kind as those of ``like``, if it is given.

        A baseline and a confirmation are selected like the night that they belong to.
        """
        return cls(contents, select(contents, **(like.selection.kind if like else {})))

    @cached_property
    def whole(self) -> pd.DataFrame:
        """The runs of the shown kind that went through the full recipe."""
        return self.selection.of_kind[is_whole(self.selection.of_kind)]

    @cached_property
    def configurations(self) -> frozenset[Configuration]:
        """The configurations that have a whole run."""
        return frozenset(configurations_of(self.whole))

    @cached_property
    def uniform_epochs(self) -> pd.DataFrame:
        """The epochs of the runs whose BatchNorm weights start uniformly; may be empty."""
        uniform = self.selection
        if uniform.kind.get("initialisation") != "uniform":
            uniform = select(self.contents, **(uniform.kind | {"initialisation": "uniform"}))
        started = (uniform.runs["initialisation"] == "uniform").all()
        return uniform.epochs if started else uniform.epochs.iloc[:0]


def configurations_of(runs: pd.DataFrame) -> set[Configuration]:
    """Return the configurations that have a run."""
    return {(str(v), str(b)) for v, b in zip(runs["variant"], runs["backend"], strict=True)}


def is_in(runs: pd.DataFrame, configurations: Collection[Configuration]) -> pd.Series:
    """Say of each run whether its configuration is one of ``configurations``."""
    found = pd.MultiIndex.from_frame(runs[CONFIGURATION]).isin([*configurations])
    return pd.Series(found, runs.index)
