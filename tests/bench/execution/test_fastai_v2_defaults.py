"""The fault that trains with fastai v2's defaults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from fastai.callback.core import TrainEvalCallback
from fastai.callback.rnn import ModelResetter
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.text.data import LMDataLoader

from bench.backends import IMPLEMENTATIONS
from bench.execution.fault_callbacks import reset_state
from bench.execution.runner import execute
from bench.store.records import OK
from hnrnn import corpus
from hnrnn.metrics import Accuracy, EpochRecorder, cross_entropy
from hnrnn.optimizer import one_cycle
from hnrnn.stream import numericalized
from hnrnn.variants import VARIANTS, Variant
from hnrnn.weights import initial_model
from tests.bench.execution.test_fault_injection import MEASURES, model4, train
from tests.conftest import small_run


def fastai_v2(variant: Variant, seed: int) -> pd.DataFrame:
    """Train as fastai v2 is used, with nothing said that need not be, and return the losses."""
    model = initial_model(variant, seed)
    model.reset = lambda: reset_state(model)  # what fastai's own models have
    _, train_numbers, valid_numbers = numericalized(corpus.generate())
    loaders = [
        LMDataLoader([torch.from_numpy(numbers)], bs=64, seq_len=variant.bptt)
        for numbers in (train_numbers, valid_numbers)
    ]
    recorder = EpochRecorder()
    learner = Learner(
        DataLoaders(*loaders, device=torch.device("cpu")),
        model,
        loss_func=cross_entropy,
        metrics=[Accuracy()],
        cbs=[TrainEvalCallback(), ModelResetter(), recorder],
        default_cbs=False,
    )
    with learner.no_logging():
        learner.fit_one_cycle(variant.epochs, variant.learning_rate)
    return recorder.history()


def test_fastai_v2_defaults() -> None:
    """The fault is what fastai v2 does of itself, bit for bit."""
    variant = replace(VARIANTS["Model4"], epochs=2)
    expected = fastai_v2(variant, seed=1)
    injected = train("fastai_v2_defaults", variant, epochs=2)[0].history
    pd.testing.assert_frame_equal(injected[MEASURES], expected[MEASURES], check_exact=True)


def test_fastai_v2_defaults_in_detail() -> None:
    """The stream, the resets and the schedule are those that the description names."""
    result, steps = model4("fastai_v2_defaults")
    assert {s.x.shape for s in steps} == {(64, 20), (64, 2), (64, 3)}
    assert result.train_tokens == 64 * 782
    assert [i for i, s in enumerate(steps) if s.state == 0] == [0, 40, 51, 91]
    # 800 steps, of which the first quarter rises: step 79 is at 79/200 of it.
    rate = one_cycle(800, 0.25, 3e-3 / 25, 3e-3, 3e-3 / 1e5)
    rates = [s.lr for s in steps if s.train]
    np.testing.assert_allclose(rates, [rate(step) for step in range(80)], rtol=1e-4)


def test_fastai_v2_defaults_stop_early() -> None:
    """Stopping early gives the first rows of the full training, bit for bit."""
    two = model4("fastai_v2_defaults")[0].history[MEASURES]
    one = train("fastai_v2_defaults", VARIANTS["Model4"])[0].history[MEASURES]
    pd.testing.assert_frame_equal(one, two.head(1), check_exact=True)


def test_fastai_v2_defaults_keep_what_the_recipe_says() -> None:
    """Model2's own pct_start of 0.1 is no default: after one epoch of ten the rise is over."""
    steps = train("fastai_v2_defaults", VARIANTS["Model2"])[1]
    rate = one_cycle(400, 0.1, 1e-4 / 25, 1e-4, 1e-9)
    np.testing.assert_allclose(
        [s.lr for s in steps if s.train], [rate(step) for step in range(40)], rtol=1e-4
    )


def test_fastai_v2_defaults_train_what_is_asked_for() -> None:
    """The BatchNorm start, the dtype and the backend are those of the run."""
    run = small_run("Model4", backend="custom", initialisation="uniform", dtype="float64")
    right, wrong = execute(run), execute(replace(run, injected_fault="fastai_v2_defaults"))
    assert wrong.outcome.status == OK
    assert wrong.outcome.initial_weights_sha256 == right.outcome.initial_weights_sha256
    convert = IMPLEMENTATIONS["custom"].convert
    model = train("fastai_v2_defaults", VARIANTS["Model4"], "custom")[0].model
    assert type(model) is type(convert(VARIANTS["Model4"], initial_model("Model4", 0)))
