"""What ``hnrnn`` offers of ``reports``: a table judged and drawn, and the seeds for it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import hnrnn
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS
from reports.api import judge, plot, published_table, seed_distribution
from reports.verdict.table import TableJudgement


def learner(table: pd.DataFrame, metric: str = "accuracy", epochs: int | None = None) -> Any:
    """Return what a fitted fastai learner shows of itself."""
    names = ["epoch", "train_loss", "valid_loss", metric, "time"]
    values = table[list(MEASURES)].to_numpy().tolist()
    recorder = SimpleNamespace(metric_names=names, values=values, n_epoch=epochs or len(values))
    return SimpleNamespace(recorder=recorder)


@pytest.mark.parametrize("initialisation", ["ones", "uniform"])
def test_seeds(initialisation: str) -> None:
    """There are 1,000 seeds of one start and 256 of the other, with whole tables."""
    seeds = {"ones": 1000, "uniform": 256}[initialisation]
    for name, variant in VARIANTS.items():
        found = seed_distribution(name, initialisation)
        assert list(found) == ["seed", "epoch", *MEASURES]
        assert found["seed"].unique().tolist() == list(range(seeds))
        assert len(found) == seeds * variant.epochs


def test_what_is_returned_may_be_changed() -> None:
    """A caller's change of a table reaches neither the next caller nor a judgement."""
    for read in (published_table, seed_distribution):
        found = read("Model0")
        before = found.copy()
        found["accuracy"] = 0.0
        pd.testing.assert_frame_equal(read("Model0"), before)


def test_every_form_of_a_table_gives_the_same() -> None:
    """A frame with or without epochs, in any order, a learner and its recorder are one table."""
    table = published_table("Model0")
    expected = judge(table, "Model0")
    forms = (
        table[list(MEASURES)],
        table.set_index("epoch"),
        table.iloc[::-1],
        table.rename(columns={"accuracy": "accuracy_of_last"}),
        table.astype(object),
        learner(table),
        learner(table, "acc4"),
        learner(table).recorder,
    )
    assert [judge(form, "Model0") for form in forms] == [expected] * len(forms)
    assert judge(table, VARIANTS["Model0"]) == expected


def bad_tables() -> dict[str, tuple[Any, str, str]]:
    """Return tables that cannot be judged: the table, the variant, and part of the message."""
    table = published_table("Model5")
    own = replace(VARIANTS["Model5"], bptt=70)
    return {
        "no variant": (table, "Model8", "unknown variant 'Model8': choose from Model0, Model1"),
        "own recipe": (table, own, "Model5 is not the notebook's recipe"),  # type: ignore[dict-item]
        "no column": (
            table.drop(columns="valid_loss"),
            "Model5",
            "no column valid_loss: its columns",
        ),
        "no metric": (table.drop(columns="accuracy"), "Model5", "no column accuracy"),
        "too long": (
            published_table("Model4"),
            "Model5",
            "is trained for 10 epochs, and the table has 20",
        ),
        "from 1": (
            table.assign(epoch=table["epoch"] + 1),
            "Model5",
            "are 0 to 9, each once: 10 is",
        ),
        "twice": (table.assign(epoch=0), "Model5", "each once: 0 is another or stands twice"),
        "half": (table.assign(epoch=table["epoch"] / 2), "Model5", "is another or stands twice"),
        "text": (table.assign(accuracy="0,4"), "Model5", "accuracy holds text, such as '0,4'"),
        "objects": (
            table.assign(accuracy=[[1]] * 10),
            "Model5",
            "accuracy holds values that are no numbers",
        ),
        "percent": (table.assign(accuracy=46.5), "Model5", "must be a share from 0 to 1, not 46.5"),
        "empty": (table.head(0), "Model5", "has no epoch with values in all"),
        "a list": (
            [1, 2],
            "Model5",
            "must be a DataFrame, a fastai Learner or its recorder, not list",
        ),
        "unfitted": (
            SimpleNamespace(recorder=SimpleNamespace()),
            "Model5",
            "has not been fitted yet",
        ),
        "schedule": (
            learner(table.head(5)),
            "Model5",
            "fitted for 5 epochs, and Model5 is trained for 10",
        ),
    }


@pytest.mark.parametrize("name", bad_tables())
def test_bad_tables(name: str) -> None:
    """Each is refused in one line that says what is wrong."""
    table, variant, message = bad_tables()[name]
    with pytest.raises(ValueError, match=message) as refused:
        judge(table, variant)
    assert "\n" not in str(refused.value)


def test_unknown_start() -> None:
    """An unknown start is refused, with the known ones."""
    with pytest.raises(
        ValueError, match="unknown initialisation 'zeros': choose from ones, uniform"
    ):
        seed_distribution("Model5", "zeros")


def test_an_interrupted_learner() -> None:
    """A learner that was stopped is judged by the epochs that it finished."""
    found = judge(learner(published_table("Model5").head(4), epochs=10), "Model5")
    assert found.epochs == (0, 1, 2, 3)
    assert not found.complete


def test_a_real_learner() -> None:
    """The recorder of fastai's own learner has the names and the values that are read."""
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from torch import arange, nn, rand

    data = [(rand(3), target) for target in arange(8) % 2]
    loaders = DataLoaders.from_dsets(data, data, bs=4)
    learn = Learner(loaders, nn.Linear(3, 2), loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
    with pytest.raises(ValueError, match="not been fitted yet"):
        judge(learn, "Model1")
    with learn.no_logging():
        learn.fit(6)
    kept = learn.recorder.values  # noqa: PD011  # a list of fastai's
    expected = pd.DataFrame([list(row) for row in kept], columns=list(MEASURES))
    assert judge(learn, "Model1") == judge(expected, "Model1")
    with pytest.raises(ValueError, match="fitted for 6 epochs, and Model5 is trained for 10"):
        judge(learn.recorder, "Model5")


def test_plot() -> None:
    """The figure has the table's curve, is pyplot's, and leaves the settings as they are."""
    before = dict(mpl.rcParams)
    table = seed_distribution("Model1", "uniform").query("seed == 7")
    bare, drawn = plot("Model1"), plot("Model1", table)
    assert dict(mpl.rcParams) == before
    assert len(plt.get_fignums()) == 2
    plt.close("all")
    assert [axes.get_title() for axes in drawn] == ["Training loss", "Validation loss", "Accuracy"]
    assert "1000 seeds)" in bare[0].figure.get_suptitle()
    assert "256 seeds with BatchNorm weights from U(0, 1)" in drawn[0].figure.get_suptitle()
    for axes, measure in zip(drawn, MEASURES, strict=True):
        curves = [np.asarray(line.get_ydata()) for line in axes.get_lines()]
        assert any(np.array_equal(curve, table[measure]) for curve in curves)
    assert len(drawn[0].get_lines()) == len(bare[0].get_lines()) + 1


def test_the_front_door() -> None:
    """``hnrnn`` offers them under the same names."""
    for name in ("judge", "plot", "published_table", "seed_distribution"):
        assert getattr(hnrnn, name) is globals()[name]
    assert isinstance(hnrnn.judge(published_table("Model1"), "Model1"), TableJudgement)
