"""The notebook's tables held against our seeds."""

from __future__ import annotations

import numpy as np
import pytest

from hnrnn import published
from reports.verdict.judgement import published_facts
from reports.verdict.notebook import (
    AGREES,
    DIFFERS,
    INCONCLUSIVE,
    PValues,
    hold_against_notebook,
    holm_of_columns,
)
from tests.made_up import made_up_epochs

TABLES = published.tables()


def test_agrees() -> None:
    """Where the notebook is one of ours in law, and seeds are enough, it agrees."""
    certificate = hold_against_notebook(made_up_epochs(170), TABLES)
    assert certificate.verdict == AGREES
    assert certificate.seeds_needed == 159
    assert [a.verdict for a in certificate.agreements] == [AGREES] * 8
    assert all(a.seeds == 170 for a in certificate.agreements)
    assert certificate.joint_p > 0.05


def test_differs() -> None:
    """One variant that is far away differs, alone, and by name; its p-value is the smallest."""
    certificate = hold_against_notebook(made_up_epochs(170, moved={"Model4": 1.0}), TABLES)
    assert certificate.verdict == DIFFERS
    by_variant = {a.variant: a for a in certificate.agreements}
    assert [name for name, a in by_variant.items() if a.verdict == DIFFERS] == ["Model4"]
    model4 = by_variant["Model4"]
    assert model4.as_extreme == 0
    assert model4.p.table == pytest.approx(1 / 171)
    assert model4.holm.table == pytest.approx(8 / 171)
    assert model4.p.final_accuracy == pytest.approx(2 / 171)
    assert model4.share_low == 0
    assert 0.01 < model4.share_high < 0.03


def test_too_few_seeds_are_inconclusive() -> None:
    """With 158 seeds nothing could be rejected after Holm, so that nothing agrees either."""
    far = {"Model4": 1.0}
    few = hold_against_notebook(made_up_epochs(158, moved=far), TABLES)
    assert few.verdict == INCONCLUSIVE
    assert {a.verdict for a in few.agreements} == {INCONCLUSIVE}
    assert hold_against_notebook(made_up_epochs(159, moved=far), TABLES).verdict == DIFFERS


def test_one_variant_needs_fewer_seeds() -> None:
    """Tests that are not made are not paid for; what has no runs is inconclusive."""
    epochs = made_up_epochs(20)
    certificate = hold_against_notebook(epochs[epochs["variant"] == "Model5"], TABLES)
    assert certificate.seeds_needed == 19
    verdicts = {a.variant: a.verdict for a in certificate.agreements}
    assert verdicts.pop("Model5") == AGREES
    assert set(verdicts.values()) == {INCONCLUSIVE}
    assert certificate.verdict == INCONCLUSIVE


def test_no_runs() -> None:
    """Without any run every p-value is NaN and nothing is said."""
    certificate = hold_against_notebook(made_up_epochs(1).iloc[:0], TABLES)
    assert certificate.verdict == INCONCLUSIVE
    assert np.isnan(certificate.joint_p)
    assert all(a.seeds == 0 and np.isnan(a.p.table) for a in certificate.agreements)


def test_final_accuracy_is_the_last() -> None:
    """Only the last epoch's accuracy moved: the final accuracy's p-value is the smallest."""
    epochs = made_up_epochs(60)
    last = (epochs["variant"] == "Model1") & (epochs["epoch"] == 5)
    epochs.loc[last, "accuracy"] += 1
    p = hold_against_notebook(epochs, TABLES).agreements[1].p
    assert p.final_accuracy == pytest.approx(2 / 61)
    assert p.accuracy < 0.1
    before = hold_against_notebook(made_up_epochs(60), TABLES).agreements[1].p
    assert before.final_accuracy > 0.1


def test_diverged_seeds_count_as_larger() -> None:
    """Seeds that diverged are no reason to reject a table from among the others."""
    epochs = made_up_epochs(170)
    epochs.loc[epochs["seed"] < 10, ["valid_loss", "train_loss"]] = np.nan
    assert hold_against_notebook(epochs, TABLES).verdict == AGREES


def test_false_alarms_are_rare() -> None:
    """A run like ours is called different in about 5% of nights: 15 notebooks of our own draw."""
    alarms = 0
    ours = made_up_epochs(160, start=1000)
    for number in range(15):
        own = made_up_epochs(1, start=number).rename(columns={"variant": "model"})
        alarms += hold_against_notebook(ours, own).verdict == DIFFERS
    assert alarms <= 3


def test_the_area_measure_decides_nothing() -> None:
    """Model5's table has p 0.019 by area, 0.093 by extreme rank length: the latter decides."""
    certificate, _ = published_facts()
    assert certificate is not None
    model5 = certificate.agreements[5]
    assert model5.p.table_by_area == pytest.approx(3 / 161)
    assert model5.p.table == pytest.approx(15 / 161)
    assert model5.verdict == AGREES


def test_holm_of_columns() -> None:
    """Each test is adjusted for itself: the smallest of two doubles, NaN is not counted."""
    adjusted = holm_of_columns([PValues(0.01, 0.02, 0.5, np.nan), PValues(0.04, 0.8, 0.3, 0.2)])
    assert adjusted[0].table == pytest.approx(0.02)
    assert adjusted[1].table == pytest.approx(0.04)
    assert adjusted[0].table_by_area == pytest.approx(0.04)
    assert adjusted[1].accuracy == pytest.approx(0.6)
    assert adjusted[1].final_accuracy == pytest.approx(0.2)
    assert np.isnan(adjusted[0].final_accuracy)
