"""The stage at which a training departs first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.ensemble.optimizer import AdamW
from bench.plan.faults import FAULTS
from bench.store.records import ENSEMBLE
from bench.verification.explanation import in_words
from bench.verification.recording import Trace
from bench.verification.stages import Departure, explain, first_departure
from hnrnn.published import stages
from hnrnn.variants import VARIANTS

STAGE_OF_FAULT = {
    "lr_times_3": "schedule",
    "lr_over_3": "schedule",
    "weight_decay_0": "optimizer settings",
    "weight_decay_0.1": "optimizer settings",
    "state_reset": "hidden state carried over",
    "targets_off_by_one": "data",
    "bptt_70": "data",
    "batchnorm_eval": "mode of the layers",
    "same_seed": "initial weights",
    "momentum_fixed": "schedule",
    "fastai_v2_defaults": "data",
    "weight_decay_0.011": "optimizer settings",
    "lr_times_1.01": "schedule",
    "adam_beta_0.999": "optimizer settings",
    "adam_eps_1e-5": "optimizer settings",
    "gradient_clipping": "backward",
    "batch_missing": "data",
    "label_smoothing": "loss",
    "gate_order": "forward",
    "state_of_other_layer": "hidden state carried over",
    "half_precision": "forward",
    "batchnorm_momentum": "running statistics of BatchNorm",
    "batchnorm_trains_in_validation": "mode of the layers",
}

TRACE: Trace = {
    "start: weights at the start": "abc",
    "step 0: output of i_h": [1.0, 0.5],
    "step 0: loss": [3.0],
    "step 0: gradient of h_o.bias": [1e-3, 1e-4],
}


def test_first_departure() -> None:
    """It is the first in the reference's order, however far later ones are."""
    assert first_departure("float64", TRACE, dict(TRACE)) is None
    other = TRACE | {"step 0: loss": [3.0 + 1e-8], "step 0: gradient of h_o.bias": [7.0, 7.0]}
    found = first_departure("float64", TRACE, other)
    assert found == Departure("float64", "step 0: loss", [3.0], [3.0 + 1e-8])
    assert found.stage == "loss"
    later = first_departure("float32", TRACE, other)
    assert later is not None
    assert later.stage == "backward"
    assert first_departure("float64", TRACE, TRACE | {"step 0: loss": [3.0 + 1e-9]}) is None


def test_layers_that_a_backend_calls_otherwise() -> None:
    """They are left out; anything else that is missing departs."""
    other = TRACE | {"step 0: output of i_h": [1.0, 0.5, 0.7, 0.1]}
    assert first_departure("float64", TRACE, other) is None
    del other["step 0: output of i_h"]
    assert first_departure("float64", TRACE, other) is None
    del other["step 0: loss"]
    assert first_departure("float64", TRACE, other) == Departure(
        "float64", "step 0: loss", [3.0], None
    )


def test_published_stages() -> None:
    """Every variant has a trace in both dtypes, and every entry belongs to a stage."""
    published = stages()
    assert list(published) == list(VARIANTS)
    for by_dtype in published.values():
        for dtype, trace in by_dtype.items():
            assert len({Departure(dtype, name, "", None).stage for name in trace}) >= 10


def test_in_words() -> None:
    """The sentence names stage, moment, what it is, and both values."""
    assert in_words(Departure("float64", "step 3: learning rate", [0.1], [0.3])) == (
        "departs first in the schedule (step 3, learning rate, float64): 0.1 expected, 0.3 found"
    )
    assert in_words(None) == "no stage of the first epoch with seed 1 departs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "fault"),
    [("Model4", "weight_decay_0"), ("Model4", "state_reset"), ("Model1", None)],
)
def test_a_training_is_explained(variant: str, fault: str | None) -> None:
    """A fault is traced to its stage, and a healthy training departs nowhere."""
    found = explain(stages(), variant, VARIANTS[variant].backend, injected_fault=fault)
    assert (found and found.stage) == (fault and STAGE_OF_FAULT[fault])


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["Model1", "Model5"])
def test_an_ensemble_is_explained(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It departs nowhere; a wrong part of it is traced to its stage."""
    assert explain(stages(), variant, ENSEMBLE) is None
    step = AdamW.step

    def wrong(self: AdamW, factors: Tensor) -> None:
        step(self, factors * torch.tensor([1.0, 1.0, 1.0, 1.01], dtype=factors.dtype))

    monkeypatch.setattr(AdamW, "step", wrong)
    found = explain(stages(), variant, ENSEMBLE)
    assert found is not None
    assert (found.stage, found.name.partition(":")[0]) == ("optimizer step", "step 0")


def test_every_fault_has_a_stage() -> None:
    """The table above knows every fault, and no control."""
    assert set(STAGE_OF_FAULT) == {fault.name for fault in FAULTS.values() if not fault.control}
