"""The parity gate accepts equal backends and refuses others."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.backends import IMPLEMENTATIONS
from bench.backends.custom import Custom
from bench.backends.recurrence import LoopRecurrence
from bench.execution import parity
from bench.execution.parity import check
from hnrnn.cells import GRUCell
from hnrnn.variants import VARIANTS, Recurrence


@pytest.mark.parametrize("backend", ["custom", "custom_hoisted", "graphed", "graphed_loop"])
@pytest.mark.parametrize("variant", ["Model1", "Model4", "Model5"])
def test_gate_opens(variant: str, backend: str) -> None:
    """An equal backend passes far inside the bounds, and its differences are reported."""
    found = check(VARIANTS[variant], backend, "cpu")
    assert found.passed
    assert found.float64 < 1e-13
    assert 0 < found.float32 < 0.1
    assert found.tf32 is None


class WrongCell(GRUCell):
    """A cell with one small error."""

    def __init__(self, input_size: int, hidden_size: int, step: Callable[..., Tensor], /) -> None:
        super().__init__(input_size, hidden_size)
        self.step = step

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the next hidden state by ``step`` of the gates' parts."""
        return self.step(self.i2h(x).chunk(3, dim=1), self.h2h(h).chunk(3, dim=1), h)


def z_and_r_swapped(x: list[Tensor], h: list[Tensor], state: Tensor) -> Tensor:
    """Take the gates in the order z, r, n."""
    z, r = torch.sigmoid(x[0] + h[0]), torch.sigmoid(x[1] + h[1])
    return z * state + (1 - z) * torch.tanh(x[2] + r * h[2])


def reset_before_product(x: list[Tensor], h: list[Tensor], state: Tensor) -> Tensor:
    """Leave the reset gate out of the candidate."""
    z = torch.sigmoid(x[1] + h[1])
    return z * state + (1 - z) * torch.tanh(x[2] + h[2])


def update_reversed(x: list[Tensor], h: list[Tensor], state: Tensor) -> Tensor:
    """Keep 1 - z of the state, as Cho et al. 2014 write it."""
    r, z = torch.sigmoid(x[0] + h[0]), torch.sigmoid(x[1] + h[1])
    return (1 - z) * state + z * torch.tanh(x[2] + r * h[2])


def slightly_off(x: list[Tensor], h: list[Tensor], state: Tensor) -> Tensor:
    """Round one gate as float32 would."""
    r, z = torch.sigmoid(x[0] + h[0]), torch.sigmoid(x[1] + h[1]) * (1 + 1e-9)
    return z * state + (1 - z) * torch.tanh(x[2] + r * h[2])


def detached(x: list[Tensor], h: list[Tensor], state: Tensor) -> Tensor:
    """Detach one path of the gradient."""
    r, z = torch.sigmoid(x[0] + h[0]).detach(), torch.sigmoid(x[1] + h[1])
    return z * state + (1 - z) * torch.tanh(x[2] + r * h[2])


@pytest.mark.parametrize(
    "step", [z_and_r_swapped, reset_before_product, update_reversed, slightly_off, detached]
)
def test_gate_stays_shut(step: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Swapped gates, no reset, another convention, a wrong digit, a lost gradient: refused."""

    class Wrong(Custom):
        def recurrence(self, kind: Recurrence, sizes: tuple[int, int, int]) -> nn.Module:
            assert kind == "gru"
            return LoopRecurrence(lambda i, h: WrongCell(i, h, step), sizes)

    monkeypatch.setattr(parity, "IMPLEMENTATIONS", {**IMPLEMENTATIONS, "wrong": Wrong()})
    found = check(VARIANTS["Model6"], "wrong", "cpu")
    assert not found.passed
    assert any("from the reference in float64" in failure for failure in found.failures)


def test_gate_stays_shut_for_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result with NaN is refused."""
    step = lambda x, h, state: state * float("nan")  # noqa: ARG005, E731
    test_gate_stays_shut(step, monkeypatch)


def test_gate_stays_shut_for_a_wrong_graphed_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graphed step that trains differently, here without weight decay, is refused."""
    monkeypatch.setattr("hnrnn.optimizer.WEIGHT_DECAY", 0.0)
    found = check(VARIANTS["Model4"], "graphed", "cpu")
    assert any("weight_ih_l0 after 6 steps" in failure for failure in found.failures)


def test_same_quantities_are_compared() -> None:
    """A quantity that one side lacks is an error."""
    with pytest.raises(ValueError, match="expected a, b; found a"):
        parity.float64_differences({"a": torch.ones(1), "b": torch.ones(1)}, {"a": torch.ones(1)})
