"""``hnrnn.learner``: a fastai ``Learner`` that trains as ``hnrnn.train`` does."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import (
    Callback,
    CancelFitException,
    CancelTrainException,
    FetchPredsCallback,
)
from fastai.callback.progress import CSVLogger
from fastai.callback.tracker import EarlyStoppingCallback
from fastai.learner import load_learner

import hnrnn
from hnrnn.optimizer import one_cycle
from hnrnn.training import fit
from hnrnn.v1_learner import V1Learner
from hnrnn.variants import VARIANTS
from hnrnn.weights import weights_sha256

SHORT = replace(VARIANTS["Model4"], epochs=1)
MEASURES = ["train_loss", "valid_loss", "accuracy"]


# fastai's ``Learner.load`` reads this name.
loads = pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning")


@pytest.fixture
def learn(tmp_path: Path) -> V1Learner:
    """Return a learner that has trained nothing."""
    return hnrnn.learner(SHORT, seed=3, path=tmp_path)


def table(learn: V1Learner) -> pd.DataFrame:
    """Return what the recorder has, as anyone would make a table of it."""
    recorder = learn.recorder
    return pd.DataFrame(list(recorder.values), columns=list(recorder.metric_names)[1:-1])


def random_states() -> list[object]:
    """Return the global random states of torch, NumPy and Python."""
    numpy_state = np.random.get_state()[1]  # noqa: NPY002  # the global one is meant
    return [torch.random.get_rng_state().tolist(), numpy_state.tolist(), random.getstate()]


def assert_same_training(learn: V1Learner) -> None:
    """Hold the table and the weights against ``hnrnn.train``'s, bit by bit."""
    expected = fit(SHORT, seed=3)
    pd.testing.assert_frame_equal(table(learn), expected.history[MEASURES], check_exact=True)
    assert weights_sha256(learn.model) == weights_sha256(expected.model)
    assert learn.initial_weights_sha256 == expected.initial_weights_sha256


def test_one_cycle_is_the_training(
    learn: V1Learner, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It equals ``hnrnn.train`` under any settings, prints its table and draws nothing."""
    before = random_states()
    monkeypatch.setattr("fastprogress.fastprogress.IN_NOTEBOOK", False)
    torch.set_default_dtype(torch.float64)
    try:
        again = hnrnn.learner(SHORT, seed=3)
        with torch.no_grad():
            again.fit_one_cycle()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_training(again)
    learn.fit_one_cycle(1, 3e-3)
    assert_same_training(learn)
    assert random_states() == before
    printed = " ".join(capsys.readouterr().out.split())
    assert "epoch train_loss valid_loss accuracy time" in printed
    assert " ".join(f"{value:.6f}" for value in table(learn).iloc[0]) in printed


def test_other_epochs_and_rate() -> None:
    """``fit_one_cycle`` follows v1's schedule to the step; ``pct_start`` is the recipe's."""
    learn = hnrnn.learner("Model2", seed=0)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 1e-3)
        rate = one_cycle(40, 0.1, 1e-3 / 25, 1e-3, 1e-3 / 25e4)
        momentum = one_cycle(40, 0.1, 0.95, 0.85, 0.95)
        assert learn.recorder.hps["lr"] == [rate(step) for step in range(40)]
        assert learn.recorder.hps["mom"] == [momentum(step) for step in range(40)]
        assert learn.recorder.lrs == learn.recorder.hps["lr"]
        learn.fit_one_cycle(1, 1e-3, div=10.0, div_final=100.0, pct_start=0.5, moms=(0.9, 0.8, 0.7))
    rate, momentum = one_cycle(40, 0.5, 1e-4, 1e-3, 1e-5), one_cycle(40, 0.5, 0.9, 0.8, 0.7)
    assert learn.recorder.hps["lr"] == [rate(step) for step in range(40)]
    assert learn.recorder.hps["mom"] == [momentum(step) for step in range(40)]


def test_fit_without_a_schedule(learn: V1Learner) -> None:
    """``fit`` keeps the rate, and the first beta of v1's AdamW, 0.9."""
    learn.fit(1, 1e-3)
    hypers = learn.opt.hypers[0]
    assert (hypers["lr"], hypers["mom"], hypers["wd"]) == (1e-3, 0.9, 0.01)
    assert set(learn.recorder.lrs) == {1e-3}


@loads
def test_lr_find_leaves_no_trace(learn: V1Learner) -> None:
    """``lr_find`` suggests a rate, and the training after it is the same as without."""
    found = learn.lr_find(num_it=30, show_plot=False)
    assert 1e-7 < found.valley < 10
    assert len(learn.recorder.losses) == len(learn.recorder.lrs) > 20
    assert not [*learn.path.joinpath("models").iterdir()]
    learn.fit_one_cycle()
    assert_same_training(learn)


def test_predictions_leave_no_trace(learn: V1Learner) -> None:
    """``get_preds`` and ``validate`` agree, repeat, and change neither record nor training."""
    scores, targets, losses = learn.get_preds(with_loss=True)
    assert (scores.shape, targets.shape) == ((704, 20, 40), (704, 20))
    assert torch.equal(scores, learn.get_preds()[0])
    shares, _ = learn.get_preds(act=partial(torch.softmax, dim=-1))
    torch.testing.assert_close(shares.sum(-1), torch.ones(704, 20))
    loss, accuracy = learn.validate()
    assert float(losses.mean()) == pytest.approx(loss)
    assert float((scores.argmax(-1) == targets).float().mean()) == pytest.approx(accuracy)
    learn.fit_one_cycle()
    after = learn.validate()
    assert after != [loss, accuracy]
    assert after == learn.validate()
    assert_same_training(learn)


def test_callbacks(tmp_path: Path) -> None:
    """The callbacks of fastai find what they expect, and a fit that is stopped has its epochs."""
    seen: list[str] = []

    class Settings(Callback):
        def before_batch(self) -> None:
            seen.append(torch.get_deterministic_debug_mode())

    early = EarlyStoppingCallback(monitor="accuracy", min_delta=1.0)
    learn = hnrnn.learner("Model4", seed=3, cbs=Settings(), path=tmp_path)
    learn.fit_one_cycle(cbs=[early, CSVLogger(), FetchPredsCallback()])
    assert len(seen) == 2 * (40 + 11 + 11)
    assert set(seen) == {2}
    assert torch.get_deterministic_debug_mode() == 0
    expected = hnrnn.train("Model4", seed=3, epochs=2)
    pd.testing.assert_frame_equal(table(learn), expected[MEASURES], check_exact=True)
    logged = pd.read_csv(tmp_path / "history.csv")
    np.testing.assert_allclose(logged[MEASURES], expected[MEASURES])


def test_a_fit_that_breaks_off(learn: V1Learner) -> None:
    """The losses up to the last batch are there, and an epoch that was cut short is whole."""

    class Break(Callback):
        def __init__(self, exception: type[Exception]) -> None:
            self.exception = exception

        def after_batch(self) -> None:
            if self.learn.training and self.iter == 9:
                raise self.exception

    learn.fit_one_cycle(1, cbs=Break(CancelTrainException))
    assert table(learn).shape == (1, 3)
    assert len(learn.recorder.history()) == 1
    learn.fit_one_cycle(1, cbs=Break(CancelFitException))
    assert table(learn).empty
    assert len(learn.recorder.losses) in (9, 10)
    assert float(learn.smooth_loss) == learn.recorder.losses[-1]


@pytest.mark.filterwarnings("ignore:load_learner")
def test_export_and_load(learn: V1Learner) -> None:
    """An exported learner predicts the same and trains on in the same way."""
    learn.fit_one_cycle()
    learn.export("model.pkl")
    loaded = load_learner(learn.path / "model.pkl")
    assert (loaded.variant, loaded.seed) == (SHORT, 3)
    assert torch.equal(loaded.get_preds()[0], learn.get_preds()[0])
    assert loaded.validate() == learn.validate()
    loaded.fit(1, 1e-3)
    learn.fit(1, 1e-3, reset_opt=True)  # the optimizer's state is not exported
    assert weights_sha256(loaded.model) == weights_sha256(learn.model)


@loads
def test_save_and_load(learn: V1Learner) -> None:
    """Weights and optimizer are saved; as in v1, the kept hidden state is not."""
    learn.fit_one_cycle()
    learn.save("one")
    other = hnrnn.learner(SHORT, seed=4, path=learn.path).load("one")
    assert weights_sha256(other.model) == weights_sha256(learn.model)
    other.model.h = learn.model.h
    assert torch.equal(other.get_preds()[0], learn.get_preds()[0])
    for each in (learn, other):
        each.fit(1, 1e-3)
    assert weights_sha256(other.model) == weights_sha256(learn.model)


@pytest.mark.parametrize("variant", ["Model1", "Model4"])
def test_show_results(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of text are shown with the tokens that follow and those that are predicted."""
    shown: list[pd.DataFrame] = []
    monkeypatch.setattr("hnrnn.v1_learner.display_df", shown.append)
    hnrnn.learner(variant, seed=0).show_results(max_n=2)
    (rows,) = shown
    assert list(rows.columns) == ["text", "following", "predicted"]
    first = rows.iloc[0]
    text = "xxbos eight thousand one , eight thousand two"
    if variant == "Model1":
        assert (first["text"], first["following"]) == ("xxbos eight thousand", "one")
        assert len(first["predicted"].split()) == 1
    else:
        assert first["text"].startswith(text)
        assert f"xxbos {first['following']}".startswith(text)
        assert len(first["predicted"].split()) == 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_epoch": 0}, "n_epoch must be 1 or more, not 0"),
        ({"lr_max": 0.0}, "lr_max must be a number above 0, not 0.0"),
        ({"lr_max": slice(1e-3)}, "lr_max must be a number above 0, not slice"),
        ({"pct_start": 30}, "pct_start must be from 0 to 1, not 30"),
    ],
)
def test_errors(learn: V1Learner, arguments: dict[str, object], message: str) -> None:
    """A bad argument gives one line, and trains nothing."""
    before = weights_sha256(learn.model)
    with pytest.raises(ValueError, match=message):
        learn.fit_one_cycle(**arguments)
    assert weights_sha256(learn.model) == before


def test_errors_of_the_configuration() -> None:
    """What ``hnrnn.train`` refuses, ``hnrnn.learner`` refuses too."""
    with pytest.raises(ValueError, match="unknown dtype 'float16'"):
        hnrnn.learner("Model4", dtype="float16")
    with pytest.raises(ValueError, match="unknown variant 'Model8'"):
        hnrnn.learner("Model8")
