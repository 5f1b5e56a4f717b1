"""What an injected fault does to a training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from torch import Tensor

from bench.backends import IMPLEMENTATIONS
from bench.execution.fault_callbacks import LabelSmoothing
from bench.execution.fault_injection import FAULTY_FITS, faulty_fit
from bench.execution.runner import execute
from bench.execution.sources import source_sha256
from bench.plan.faults import FAULTS
from bench.store.records import FAILED
from hnrnn.metrics import cross_entropy
from hnrnn.stream import language_model_data
from hnrnn.training import Training, fit
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


@cache
def model5(injected_fault: str | None) -> tuple[Training, list[Step]]:
    """Return an epoch of Model5."""
    return train(injected_fault, VARIANTS["Model5"])


@pytest.mark.parametrize("injected_fault", [name for name in FAULTS if name not in CONTROLS])
def test_a_fault_changes_the_curve(injected_fault: str) -> None:
    """No fault leaves the losses as they are."""
    applies = not FAULTS[injected_fault].why_inapplicable(VARIANTS["Model4"], "nn")
    trained = model4 if applies else model5
    right, wrong = trained(None)[0].history, trained(injected_fault)[0].history
    assert len(right) == len(wrong)
    assert (right["valid_loss"] != wrong["valid_loss"]).all()


@pytest.mark.parametrize(
    ("injected_fault", "lr_factor", "wd"),
    [
        ("lr_times_3", 3, 0.01),
        ("lr_over_3", 1 / 3, 0.01),
        ("weight_decay_0", 1, 0.0),
        ("weight_decay_0.1", 1, 0.1),
        ("weight_decay_0.011", 1, 0.011),
        ("lr_times_1.01", 1.01, 0.01),
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


@pytest.mark.parametrize(
    ("injected_fault", "name", "values"),
    [("adam_beta_0.999", "betas", {(0.85, 0.999)}), ("adam_eps_1e-5", "eps", {1e-5})],
)
def test_settings_of_adam(
    injected_fault: str, name: str, values: set[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those with which every step is taken."""
    found = []
    step = torch.optim.AdamW.step

    def spy(self: torch.optim.AdamW, *arguments: object) -> object:
        found.append(self.param_groups[0][name])
        return step(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(injected_fault, VARIANTS["Model1"])
    if name == "betas":
        found = [(0.85, second) for _, second in found]  # the first one has a schedule
    assert set(found) == values


class GradientNorm(Callback):  # type: ignore[misc]
    """Note the norm of every gradient that the optimizer uses."""

    order = 100

    def __init__(self) -> None:
        self.norms: list[float] = []

    def before_step(self) -> None:
        """Note it."""
        gradients = [p.grad.flatten() for p in self.model.parameters() if p.grad is not None]
        self.norms.append(float(torch.cat(gradients).norm()))


def test_gradient_clipping() -> None:
    """No gradient is longer than 0.25, and without the fault all are."""
    right, wrong = GradientNorm(), GradientNorm()
    train(None, VARIANTS["Model4"], callbacks=[right])
    train("gradient_clipping", VARIANTS["Model4"], callbacks=[wrong])
    assert min(right.norms) > 0.25
    assert max(wrong.norms) == pytest.approx(0.25, rel=1e-4)


def test_batch_missing() -> None:
    """The last batch of each pass is not trained on; the schedule of the others stays."""
    right, wrong = model4(None)[1], model4("batch_missing")[1]
    batches, passes = sum(s.train for s in right) // 2, len(right) // 2
    expected = [s for place, s in enumerate(right) if place % passes != batches - 1]
    assert len(wrong) == len(expected) == len(right) - 2
    assert all(torch.equal(s.x, left.x) for s, left in zip(wrong, expected, strict=True))
    assert [s.lr for s in wrong if s.train] == [s.lr for s in expected if s.train]


def test_label_smoothing() -> None:
    """The loss is torch's own with smoothed labels."""
    scores, y = torch.randn(2, 5, 7), torch.tensor([[0, 1, 2, 3, 4], [5, 6, 0, 0, 1]])
    callback = LabelSmoothing(0.1)
    callback.right = cross_entropy
    expected = F.cross_entropy(scores.flatten(0, 1), y.flatten(), label_smoothing=0.1)
    torch.testing.assert_close(callback.smoothed(scores, y), expected)


def test_gate_order() -> None:
    """The recorded initial weights are right; those that are trained have two gates exchanged."""
    right, wrong = (model5(fault)[0] for fault in (None, "gate_order"))
    assert wrong.initial_weights_sha256 == right.initial_weights_sha256
    assert wrong.history["valid_loss"].item() != right.history["valid_loss"].item()
    with pytest.raises(ValueError, match="Model4 has no gates"):
        faulty_fit("gate_order", VARIANTS["Model4"], "nn")


@pytest.mark.parametrize("name", ["batchnorm_momentum", "batchnorm_trains_in_validation"])
def test_faults_of_validation(name: str) -> None:
    """They change the validation only."""
    right, wrong = model4(None)[0].history, model4(name)[0].history
    assert right["train_loss"].equals(wrong["train_loss"])
    assert ((right["valid_loss"] - wrong["valid_loss"]).abs() > 1e-3).all()


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
