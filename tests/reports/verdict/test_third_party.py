"""Other people's published runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hnrnn import published
from reports.verdict.third_party import explained, third_party_runs
from tests.made_up import made_up_epochs

TABLES = published.tables()


def as_published(epochs: pd.DataFrame) -> pd.DataFrame:
    """Return our epochs as other people's: a run for a seed."""
    named = epochs.rename(columns={"variant": "model", "seed": "run"})
    return named.assign(repository="someone/copy", committed="2019-01-01")


def test_each_start_explains_its_own() -> None:
    """Runs like ours of one start are explained by it and not by another; odd ones by neither."""
    ones, uniform = made_up_epochs(60, start=100), made_up_epochs(60, start=300, moved=far(2.0))
    theirs = pd.concat(
        [
            as_published(made_up_epochs(2, start=0)),
            as_published(made_up_epochs(3, start=10, moved=far(2.0))),
            as_published(made_up_epochs(1, start=20, moved=far(-9.0))),
        ],
        ignore_index=True,
    )
    runs = third_party_runs(theirs, ones, uniform)
    assert len(runs) == 6 * 8
    rows = explained(runs, theirs, TABLES)
    assert [row.variant for row in rows] == sorted(set(TABLES["model"]))
    for row in rows:
        assert row.runs == 6
        assert row.by_neither >= 1
        assert row.by_both == 0
    assert sum(row.by_ones for row in rows) >= 14
    assert sum(row.by_uniform for row in rows) >= 21


def far(by: float) -> dict[str, float]:
    """Move every variant."""
    return dict.fromkeys(TABLES["model"].unique(), by)


def test_notebook_among_the_published() -> None:
    """The notebook's place among five runs that are all below it is the last; p is 2 of 6."""
    theirs = as_published(made_up_epochs(5, moved=far(-1.0)))
    none = made_up_epochs(1).iloc[:0]
    rows = explained(third_party_runs(theirs, none, none), theirs, TABLES)
    assert {row.notebook_rank for row in rows} == {6}
    assert [row.notebook_accuracy_p for row in rows] == pytest.approx([2 / 6] * 8)
    assert [row.notebook_table_p for row in rows] == pytest.approx([1 / 6] * 8)


def test_without_our_seeds() -> None:
    """A start that was not run explains nothing, and its p-values say so."""
    ones = made_up_epochs(30, start=50)
    theirs = as_published(made_up_epochs(2))
    runs = third_party_runs(theirs, ones, ones.iloc[:0])
    assert all(np.isnan(run.uniform_p) and run.ones_p > 0 for run in runs)
    assert explained([], theirs, TABLES) == []


def test_published_data() -> None:
    """The data are 107 runs of the eight variants, whole tables all of them."""
    theirs = published.third_party_runs()
    none = made_up_epochs(1).iloc[:0]
    runs = third_party_runs(theirs, none, none)
    assert len(runs) == 107
    assert sum(run.variant == "Model6" for run in runs) == 2
    assert theirs["accuracy"].between(0, 1).all()
    assert theirs["repository"].str.contains("/").all()
