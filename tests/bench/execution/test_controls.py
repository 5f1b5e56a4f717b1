"""Controls change how a training rounds, and nothing else."""

from __future__ import annotations

import pytest
import torch

from bench.execution.runner import execute
from bench.store.records import OK
from tests.bench.execution.test_fault_injection import CONTROLS, MEASURES, model4
from tests.conftest import small_run


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
