"""One table among the published seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hnrnn import published
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS
from reports.api import judge, published_table
from reports.runs.curves import curves
from reports.runs.published_seeds import published_seeds
from reports.runs.table_rows import usable_rows
from reports.verdict.notebook import hold_against_notebook
from reports.verdict.table import Point, TableJudgement, judge_table
from reports.verdict.third_party import STARTS, Outcomes
from tests.made_up import made_up_epochs

ONES = {name: published_seeds(name, "ones") for name in VARIANTS}


def judged(table: pd.DataFrame, seeds: int = 99) -> TableJudgement:
    """Judge a table of Model5 among made-up seeds, whose second start is far away."""
    ones = made_up_epochs(seeds, start=100)
    uniform = made_up_epochs(seeds, start=300, moved={"Model5": 2.0})
    sides = (curves(epochs, "Model5") for epochs in (ones, uniform))
    return judge_table("Model5", usable_rows(table, "Model5"), *sides)


def test_third_party_runs() -> None:
    """The counts by start of the published report come out again, from the larger set alone."""
    runs = published.third_party_runs().groupby(["model", "run"])
    found = [judge(rows, str(model)) for (model, _), rows in runs]
    p_values = pd.DataFrame([dict(each.p_values) for each in found]).add_suffix("_p")
    assert Outcomes.of(p_values) == Outcomes(ones=55, uniform=43, undecided=0, neither=9)
    assert pd.Series([each.start for each in found]).value_counts().to_dict() == {
        "ones": 55,
        "uniform": 43,
        "neither": 9,
    }


def test_the_notebook() -> None:
    """Its eight tables have the p-values of the certificate on the published seeds."""
    epochs = pd.concat(ONES.values()).assign(backend="ensemble")
    certificate = hold_against_notebook(epochs, published.tables())
    for agreement in certificate.agreements:
        found = judge(published_table(agreement.variant), agreement.variant)
        assert found.p_values["ones"] == agreement.p.table
        assert found.ones.rank_p == agreement.p.final_accuracy
        assert found.ones.seeds == agreement.seeds == 1000
        assert f"p {agreement.p.table:.4f}" in str(found)


@pytest.mark.parametrize("start", STARTS)
def test_published_seeds(start: str) -> None:
    """Of our own seeds, about one in 20 is rejected, and the others fit their own start."""
    seeds = published_seeds("Model4", start)
    found = [judge(seeds[seeds["seed"] == seed], "Model4") for seed in range(20)]
    own = [each.p_values[start] for each in found]
    assert 0 <= sum(p <= 0.05 for p in own) <= 3
    assert 0.3 < np.mean(own) < 0.7
    assert sum(each.start == start for each in found) >= 17


def test_a_place_in_words() -> None:
    """The final accuracy's place and the outermost values are said as they are."""
    table = published_table("Model5")
    table.loc[2:3, "valid_loss"] = 0.01
    table.loc[5, "valid_loss"] = 0.02
    found = judge(table, "Model5")
    assert found.start == "neither"
    assert found.p_values["ones"] == 8 / 1001
    assert found.ones.outermost == tuple(
        Point("valid_loss", epoch, value, 1000, 0, 1000)
        for epoch, value in ((2, 0.01), (3, 0.01), (5, 0.02))
    )
    final = found.ones.final
    assert final is not None
    assert found.ranks["ones"] == 1 + final.below + (1000 - final.below - final.above) / 2 == 134
    text = str(found)
    assert "Model5, 10 epochs: unlike our runs of either start" in text
    assert "among 1,000 seeds with BatchNorm weights at 1: p 0.0080\n" in text
    assert "valid_loss of epochs 2 to 3, 5: the lowest of all\n" in text
    assert "accuracy 0.7947: lower than 87% of the seeds (rank 134 of 1,001, p 0.2677)" in text


def test_shares() -> None:
    """A share that is not all of the seeds does not read 100%."""
    assert Point("accuracy", 0, 0.5, 1000, 710, 290).sentence() == "higher than 71% of the seeds"
    assert Point("accuracy", 0, 0.5, 1000, 3, 997).sentence() == "lower than 99.7% of the seeds"
    assert Point("accuracy", 0, 0.5, 4000, 3999, 1).sentence() == "higher than 99.9% of the seeds"
    assert Point("accuracy", 0, 0.5, 1000, 1000, 0).sentence() == "the highest of all"


def test_a_partial_table() -> None:
    """Some epochs have the p-value of these alone, and there is none of a whole table."""
    table = published_table("Model5")
    found = judged(table.iloc[[0, 1, 4]])
    assert found.epochs == (0, 1, 4)
    assert np.isnan([*found.p_values.values(), *found.ranks.values()]).all()
    assert found.start == "ones"
    assert "Model5, epochs 0 to 1, 4 of 10 only: like runs" in str(found)
    assert "No p-value of a whole table" in str(found)
    assert "final accuracy" not in str(found)


def test_epochs_without_values_are_left_out() -> None:
    """An epoch that lacks a value is not taken for one that diverged."""
    table = published_table("Model5")
    table.loc[9, ["valid_loss", "accuracy"]] = np.nan
    table.loc[0, "train_loss"] = np.nan
    assert judged(table).epochs == tuple(range(1, 9))


def test_a_diverged_run() -> None:
    """A loss that is not finite, beside an accuracy, is larger than any other."""
    table = published_table("Model5")
    table.loc[6:, ["train_loss", "valid_loss"]] = np.nan
    found = judge(table, "Model5")
    assert found == judge(table.fillna(np.inf), "Model5")
    assert found.complete
    assert found.p_values["ones"] == 1 / 1001
    assert "train_loss of epochs 6 to 9: not finite, the highest of all" in str(found)


def test_fewer_decimals() -> None:
    """Where a table is printed with fewer decimals, ours are rounded alike, so that ties stay."""
    seeds = published_seeds("Model2", "ones")
    table = seeds[seeds["seed"] == 11]
    rounded = table.round(dict.fromkeys(MEASURES, 4))
    ours = curves(seeds, "Model2").round(4)
    ties = judge_table("Model2", rounded, ours, ours)
    assert judge(rounded, "Model2").ones.p == ties.ones.p


def test_copies_are_named() -> None:
    """A table with the values of a published run is not taken for a new one."""
    theirs = published.third_party_runs().query("model == 'Model5'")
    theirs = theirs[theirs["run"] == theirs["run"].iloc[0]]
    found = judge(theirs, "Model5")
    assert found.copy_of == f"a run published in {theirs['repository'].iloc[0]}"
    assert f"These are the values of {found.copy_of}: no new run." in str(found)
    assert judge(published_table("Model5"), "Model5").copy_of == "the notebook's own table"
    assert judge(theirs.head(9), "Model5").copy_of is None
    other = theirs.assign(accuracy=theirs["accuracy"] + 1e-6)
    assert judge(other, "Model5").copy_of is None
