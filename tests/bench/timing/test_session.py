"""Timing one configuration: the steps and their measurements."""

from __future__ import annotations

import pytest
import torch

from bench.timing.session import PHASES, Session, nothing_compiled
from hnrnn.variants import VARIANTS


def weights(session: Session) -> list[torch.Tensor]:
    """Return copies of a session's parameters."""
    return [parameter.detach().clone() for parameter in session.model.parameters()]


@pytest.mark.parametrize("phase", PHASES)
def test_what_a_phase_does(phase: str) -> None:
    """Only a training step changes the weights; validation runs in evaluation mode."""
    session = Session(VARIANTS["Model4"], "nn", "cpu")
    before = weights(session)
    statistics = session.model.get_buffer("bn.running_mean").clone()
    block = session.run(phase, 3)
    assert block.steps == 3
    assert block.wall_seconds > 0
    assert block.device_seconds is not None
    assert block.device_seconds > 0
    moved = [not torch.equal(a, b) for a, b in zip(before, weights(session), strict=True)]
    assert all(moved) if phase == "train_step" else not any(moved)
    assert session.model.training == (phase != "validation")
    normalised = not torch.equal(statistics, session.model.get_buffer("bn.running_mean"))
    assert normalised == (phase != "validation")
    assert session.model.get_buffer("h").abs().sum() > 0
    if phase == "validation":
        assert session.right is not None
        assert 0 <= session.right <= 64 * 20


def test_tokens_per_step() -> None:
    """A step is one batch: rows times the tokens of a row."""
    assert Session(VARIANTS["Model4"], "nn", "cpu").tokens_per_step == 64 * 20
    assert Session(VARIANTS["Model0"], "custom", "cpu").tokens_per_step == 64 * 3


def test_graphed_session_trains_as_the_eager_one() -> None:
    """The captured step, run on a CPU without a graph, does the same as the eager one."""
    sessions = [Session(VARIANTS["Model4"], name, "cpu", "float64") for name in ("nn", "graphed")]
    for session in sessions:
        session.run("train_step", 4)
    assert sessions[1].phases == ("train_step",)
    for ours, theirs in zip(*map(weights, sessions), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_peak_memory() -> None:
    """A step holds at least its activations, and twice the depth holds more."""
    one, two = (Session(VARIANTS[name], "nn", "cpu") for name in ("Model6", "Model5"))
    hidden_states = 64 * 20 * 64 * 4
    assert one.peak_memory_bytes() > 3 * hidden_states
    assert two.peak_memory_bytes() > 1.3 * one.peak_memory_bytes()


def test_nothing_compiled_forgets() -> None:
    """A compiled function is compiled again inside."""
    compilations = []

    def backend(module: torch.fx.GraphModule, _: list[torch.Tensor]) -> torch.fx.GraphModule:
        compilations.append(module)
        return module

    function = torch.compile(lambda x: x + 1, backend=backend)
    function(torch.ones(2))
    function(torch.ones(2))
    assert len(compilations) == 1
    with nothing_compiled():
        function(torch.ones(2))
    assert len(compilations) == 2
