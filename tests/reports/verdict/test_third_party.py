"""Other people's published runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.store.store import Store
from hnrnn import published
from reports.__main__ import main
from reports.verdict.third_party import (
    FOLDER,
    OWN_SEEDS,
    RUNS,
    Outcomes,
    ThirdParty,
    explain,
    hold_own_seeds,
    hold_runs,
    read_published,
)
from tests.made_up import made_up_epochs
from tests.made_up import notebook_night as made_up_night

TABLES = published.tables()
PUBLISHED = FOLDER.parent


def as_published(epochs: pd.DataFrame, committed: str = "2019-01-01") -> pd.DataFrame:
    """Return our epochs as other people's: a run for a seed."""
    named = epochs.rename(columns={"variant": "model", "seed": "run"})
    return named.assign(repository="someone/copy", committed=committed)


def far(by: float) -> dict[str, float]:
    """Move every variant."""
    return dict.fromkeys(TABLES["model"].unique(), by)


def explained(theirs: pd.DataFrame, ones: pd.DataFrame, uniform: pd.DataFrame) -> ThirdParty:
    """Hold the runs and our own seeds, and count."""
    return explain(hold_runs(theirs, ones, uniform), hold_own_seeds(ones, uniform), theirs, TABLES)


def test_each_start_explains_its_own() -> None:
    """Runs like ours of one start are compatible with it alone; odd ones with neither."""
    ones, uniform = made_up_epochs(60, start=100), made_up_epochs(60, start=300, moved=far(2.0))
    theirs = pd.concat(
        [
            as_published(made_up_epochs(2, start=0), "2019-08-08"),
            as_published(made_up_epochs(3, start=10, moved=far(2.0)), "2019-08-07"),
            as_published(made_up_epochs(1, start=20, moved=far(-9.0)), "2020-01-01"),
        ],
        ignore_index=True,
    )
    found = explained(theirs, ones, uniform)
    assert [row.variant for row in found.by_variant] == sorted(set(TABLES["model"]))
    for row in found.by_variant:
        assert row.published.runs == 6
        assert row.published.neither >= 1
        assert row.published.undecided == 0
        # One in 20 of our own is rejected, and none is compatible with the other start.
        assert row.ones_seeds == Outcomes(57, 0, 0, 3)
        assert row.uniform_seeds == Outcomes(0, 57, 0, 3)
    before, later = found.by_era.values()
    assert (before.runs, later.runs) == (24, 24)
    assert (before.ones, later.uniform) == (0, 0)
    assert (before.uniform, later.ones) >= (21, 14)


def test_starts_that_are_alike_decide_nothing() -> None:
    """Where both starts give the same, nearly all runs are undecided, and so are our own seeds."""
    ones, uniform = made_up_epochs(60, start=100), made_up_epochs(60, start=300)
    row = explained(as_published(made_up_epochs(9)), ones, uniform).by_variant[3]
    assert row.published.undecided >= 7
    assert row.ones_seeds.undecided >= 45
    assert row.uniform_seeds.undecided >= 45


def test_own_seeds_are_left_out() -> None:
    """A seed is held against the others of its start, and against all of the other start."""
    ones, uniform = (
        epochs[epochs["variant"] == "Model4"]
        for epochs in (made_up_epochs(30), made_up_epochs(25, start=300, moved=far(0.05)))
    )
    counts = hold_own_seeds(ones, uniform).set_index(["model", "start"]).loc[("Model4", "ones")]
    by_hand = []
    for seed in range(30):
        own = ones["seed"] == seed
        by_hand.append(hold_runs(as_published(ones[own]), ones[~own], uniform))
    expected = Outcomes.of(pd.concat(by_hand))
    assert Outcomes(**counts.to_dict()) == expected
    assert expected.undecided > 0


def test_notebook_among_the_published() -> None:
    """The notebook's place among five runs that are all below it is the last; p is 2 of 6."""
    theirs = as_published(made_up_epochs(5, moved=far(-1.0)))
    none = made_up_epochs(1).iloc[:0]
    rows = explained(theirs, none, none).by_variant
    assert {row.notebook_rank for row in rows} == {6}
    assert [row.notebook_accuracy_p for row in rows] == pytest.approx([2 / 6] * 8)
    assert [row.notebook_table_p for row in rows] == pytest.approx([1 / 6] * 8)


def test_without_our_seeds() -> None:
    """A start that was not run is compatible with nothing, and its p-values say so."""
    ones = made_up_epochs(30, start=50)
    theirs = as_published(made_up_epochs(2))
    runs = hold_runs(theirs, ones, ones.iloc[:0])
    assert runs["uniform_p"].isna().all()
    assert (runs["ones_p"] > 0).all()
    assert hold_own_seeds(ones, ones.iloc[:0])["uniform"].sum() == 0


def test_published_data() -> None:
    """The data are 107 runs of the eight variants, whole tables all of them."""
    theirs = published.third_party_runs()
    none = made_up_epochs(1).iloc[:0]
    runs = hold_runs(theirs, none, none)
    assert len(runs) == 107
    assert (runs["model"] == "Model6").sum() == 2
    assert theirs["accuracy"].between(0, 1).all()
    assert theirs["repository"].str.contains("/").all()


def test_published_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The published counts are what the command gives on the published sets, all seeds of both."""
    sets = [str(PUBLISHED / name) for name in ("cpu", "ensemble")]
    assert main(["third-party", "--results", *sets, "--output", str(tmp_path)]) == 0
    assert "ones: 8000 seeds of all models" in capsys.readouterr().out
    for name in (RUNS, OWN_SEEDS):
        assert (tmp_path / name).read_text(encoding="utf-8") == (FOLDER / name).read_text(
            encoding="utf-8"
        )


def test_a_start_that_was_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without seeds of a start there is nothing to write; the message names the option."""
    Store(tmp_path / "ones").write_contents(made_up_night(2))
    folders = ["--results", str(tmp_path / "ones"), "--output", str(tmp_path / "found")]
    assert main(["third-party", *folders]) == 2
    assert "no results folder has runs of `bench run --initialisation uniform`" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "found").exists()


def test_the_date_agrees() -> None:
    """No run from before PyTorch 1.2 is compatible with ones only, and most later ones are."""
    found = read_published()
    assert found is not None
    by_era = explain(*found, published.third_party_runs(), TABLES).by_era
    before, later = by_era.values()
    assert (before.runs, later.runs) == (30, 77)
    assert before.ones == 0
    assert before.uniform >= 25
    assert later.ones > later.runs / 2
    assert not np.isnan(found[0][["ones_p", "uniform_p"]]).any(axis=None)
    assert read_published(FOLDER / "nowhere") is None
