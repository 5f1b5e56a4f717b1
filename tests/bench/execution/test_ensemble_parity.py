"""The ensemble's parity gate: it opens for what is equal, and stays shut for what is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bench.ensemble import models
from bench.execution.ensemble_parity import check_ensemble
from hnrnn.variants import VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_gate_opens(name: str) -> None:
    """Every variant passes, far inside the bounds, and says how far apart it is."""
    parity = check_ensemble(VARIANTS[name], "cpu")
    assert parity.passed
    assert parity.float64 < 1e-13
    assert 0 < parity.float32 < 0.1


def slightly_off(losses: torch.Tensor, gradients: Any) -> torch.Tensor:
    """Move one seed's gradient by a billionth."""
    gradients[1].mul_(1 + 1e-9)
    return losses


@pytest.mark.parametrize("name", ["Model1", "Model3", "Model5"])
def test_gate_stays_shut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is off by a billionth is found, in the seed whose it is and in no other."""
    right = models.losses_and_gradient

    def wrong(scores: Any, batch: Any, out: torch.Tensor) -> torch.Tensor:
        return slightly_off(right(scores, batch, out), out)

    monkeypatch.setattr(models, "losses_and_gradient", wrong)
    parity = check_ensemble(VARIANTS[name], "cpu")
    found = [failure for failure in parity.failures if "in float64" in failure]
    assert found
    assert all("gradient" in failure and "of seed 1 is" in failure for failure in found)
