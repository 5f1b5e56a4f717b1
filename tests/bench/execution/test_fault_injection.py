"""What an injected fault does to a training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback, TrainEvalCallback
from fastai.callback.rnn import ModelResetter
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.text.data import LMDataLoader
from torch import Tensor

from bench.backends import IMPLEMENTATIONS
from bench.execution.fault_injection import FAULTY_FITS, reset_state
from bench.execution.runner import execute
from bench.execution.sources import source_sha256
from bench.plan.faults import FAULTS
from bench.store.records import FAILED, OK
from hnrnn import corpus
from hnrnn.metrics import EpochRecorder, cross_entropy, history_table
from hnrnn.optimizer import one_cycle
from hnrnn.stream import language_model_data, numericalized
from hnrnn.training import Training, fit, initial_model
from hnrnn.variants import VARIANTS, Variant
from tests.conftest import small_run

MEASURES = ["train_loss", "valid_loss", "accuracy"]
CONTROLS = [fault.name for fault in FAULTS.values() if fault.control]


@dataclass(frozen=True)
class Step:
    """What a batch is computed with."""

    train: bool
    lr: float
    mom: float
    wd: float
    state: float
    batchnorm_trains: bool
    x: Tensor
    y: Tensor


class Spy(Callback):  # type: ignore[misc]
    """Note what every batch is computed with, after all other callbacks."""

    order = 100

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def before_batch(self) -> None:
        """Note it."""
        hypers, model = self.opt.hypers[0], self.model
        self.steps.append(
            Step(
                self.training,
                hypers["lr"],
                hypers["mom"],
                hypers["wd"],
                float(model.h.abs().sum()) if hasattr(model, "h") else 0.0,
                model.bn.training,
                self.xb[0],
                self.yb[0],
            )
        )


def train(
    injected_fault: str | None, variant: Variant, backend: str | None = None, **changes: object
) -> tuple[Training, list[Step]]:
    """Return a short training with a fault, and its steps."""
    spy = Spy()
    implementation = IMPLEMENTATIONS[backend or variant.backend]
    options: dict[str, object] = {
        "seed": 1,
        "dtype": "float32",
        "device": "cpu",
        "initialisation": "ones",
        "epochs": 1,
        "convert": lambda model: implementation.convert(variant, model),
        "callbacks": [spy],
    }
    chosen = fit if injected_fault is None else FAULTY_FITS[injected_fault]
    result = chosen(variant, **(options | changes))
    return result, spy.steps


@cache
def model4(injected_fault: str | None) -> tuple[Training, list[Step]]:
    """Return two epochs of Model4."""
    return train(injected_fault, VARIANTS["Model4"], epochs=2)


@pytest.mark.parametrize("injected_fault", [name for name in FAULTS if name not in CONTROLS])
def test_a_fault_changes_the_curve(injected_fault: str) -> None:
    """No fault leaves the losses as they are."""
    right, wrong = model4(None)[0].history, model4(injected_fault)[0].history
    assert len(right) == len(wrong) == 2
    assert (right["valid_loss"] != wrong["valid_loss"]).all()


@pytest.mark.parametrize(
    ("injected_fault", "lr_factor", "wd"),
    [
        ("lr_times_3", 3, 0.01),
        ("lr_over_3", 1 / 3, 0.01),
        ("weight_decay_0", 1, 0.0),
        ("weight_decay_0.1", 1, 0.1),
    ],
)
def test_learning_rate_and_weight_decay(injected_fault: str, lr_factor: float, wd: float) -> None:
    """The optimizer is given another one of the two at every step, and nothing else."""
    right, wrong = model4(None)[1], model4(injected_fault)[1]
    np.testing.assert_allclose([s.lr for s in wrong], [s.lr * lr_factor for s in right])
    assert [s.mom for s in wrong] == [s.mom for s in right]
    assert ({s.wd for s in right}, {s.wd for s in wrong}) == ({0.01}, {wd})


@pytest.mark.parametrize(
    ("name", "backend"), [("Model4", "nn"), ("Model5", "custom"), ("Model3", "custom_hoisted")]
)
def test_state_reset(name: str, backend: str) -> None:
    """Every batch starts at a state of zero, in validation too; without the fault none does."""
    steps = train("state_reset", VARIANTS[name], backend)[1]
    assert {s.state for s in steps} == {0.0}
    assert {s.train for s in steps} == {True, False}
    assert all(s.state > 0 for s in model4(None)[1][1:])


def test_targets_off_by_one() -> None:
    """Every target is the one after the right one, across batches too; the inputs are the same."""
    right, wrong = model4(None)[1], model4("targets_off_by_one")[1]
    dls = language_model_data(20)
    for loader, train_pass in ((dls.train, True), (dls.valid, False)):
        passes = [[s for s in steps if s.train == train_pass] for steps in (right, wrong)]
        for left, faulty in zip(*passes, strict=True):
            assert torch.equal(left.x, faulty.x)
        y, later = (torch.cat([s.y for s in steps[: len(loader)]], dim=1) for steps in passes)
        following = loader.batch(len(loader))[1][:, :1]
        assert torch.equal(later, torch.cat([y[:, 1:], following], dim=1))


def test_bptt_70() -> None:
    """A row has 70 tokens, in training and validation, and the throughput counts them."""
    result, steps = model4("bptt_70")
    assert {s.x.shape for s in steps} == {(64, 70)}
    assert sum(s.train for s in steps) == 2 * 12
    assert result.train_tokens == 12 * 64 * 70


def test_batchnorm_eval() -> None:
    """BatchNorm never trains, in the second epoch neither, and its statistics stay."""
    result, steps = model4("batchnorm_eval")
    assert {s.batchnorm_trains for s in steps} == {False}
    assert {s.batchnorm_trains for s in model4(None)[1] if s.train} == {True}
    bn = result.model.get_submodule("bn")
    assert torch.equal(bn.running_mean, torch.zeros(64))
    assert torch.equal(bn.running_var, torch.ones(64))


def test_same_seed() -> None:
    """Another seed is recorded, and ends in the weights of seed 0."""
    right, wrong = (
        execute(small_run(seed=0)),
        execute(small_run(seed=5, injected_fault="same_seed")),
    )
    assert (wrong.run.seed, wrong.epochs[0].seed) == (5, 5)
    assert wrong.outcome.initial_weights_sha256 == right.outcome.initial_weights_sha256
    assert wrong.outcome.weights_sha256 == right.outcome.weights_sha256


def test_momentum_fixed() -> None:
    """The momentum is 0.95 at every step, where it falls without the fault; nothing else moves."""
    right, wrong = model4(None)[1], model4("momentum_fixed")[1]
    assert {s.mom for s in wrong if s.train} == {0.95}
    assert min(s.mom for s in right) < 0.95
    assert [(s.lr, s.wd) for s in wrong] == [(s.lr, s.wd) for s in right]


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
        cbs=[TrainEvalCallback(), ModelResetter(), recorder],
        default_cbs=False,
    )
    learner.fit_one_cycle(variant.epochs, variant.learning_rate)
    return history_table(recorder.rows)


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


@pytest.mark.parametrize("injected_fault", CONTROLS)
def test_controls(injected_fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A control's epoch is the right one to 1e-9 in float64, though it is computed otherwise."""
    right = execute(small_run(dtype="float64"))
    threads = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        threads.append(torch.get_num_threads())
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    control = execute(small_run(dtype="float64", injected_fault=injected_fault))
    assert (right.outcome.status, control.outcome.status) == (OK, OK)
    for measure in MEASURES:
        left, other = (getattr(record.epochs[0], measure) for record in (right, control))
        # The smoothed training loss is float32, whose last place is 2e-7 of it.
        assert other == pytest.approx(left, abs=3e-7 if measure == "train_loss" else 1e-9)
    expected = 2 if injected_fault == "threads_2" else 1
    assert set(threads) == {expected}
    assert control.environment.threads == expected
    assert torch.get_num_threads() == 1
    if injected_fault == "reordered_sum":
        assert control.outcome.weights_sha256 != right.outcome.weights_sha256


def test_reordered_sum_reverses_the_rows() -> None:
    """The rows of both sides are reversed, in training and validation."""
    right, control = model4(None)[1], model4("reordered_sum")[1]
    for left, other in zip(right, control, strict=True):
        assert torch.equal(other.x, left.x.flip(0))
        assert torch.equal(other.y, left.y.flip(0))


def test_what_does_not_apply_is_not_trained() -> None:
    """A run whose fault would change nothing is no injected run: it fails, and says why."""
    record = execute(small_run("Model0", injected_fault="state_reset"))
    assert record.outcome.status == FAILED
    assert record.outcome.error == (
        "ValueError: state_reset does not apply: Model0 keeps no hidden state"
    )


def test_record_of_a_faulty_run() -> None:
    """What is injected is recorded, with the recipe that was asked for and the code that faulty."""
    row = execute(small_run(injected_fault="bptt_70")).run_row()
    assert (row["injected_fault"], row["bptt"]) == ("bptt_70", 20)
    assert row["source_sha256"] == source_sha256(faulty=True) != source_sha256()
