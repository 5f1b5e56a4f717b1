"""``bench verify`` and ``bench rounding``, as a person calls them."""

from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.verification.kinds import KINDS
from bench.verification.stages import STAGES
from hnrnn.variants import VARIANTS
from tests.command_line import exit_code


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_verify(capsys: pytest.CaptureFixture[str]) -> None:
    """What is right passes; a fault fails, and is traced to its stage."""
    call = ["verify", "--variants", "Model4", "--backends", "notebook,ensemble", "--device", "cpu"]
    assert main(call) == 0
    assert "2 of 2 configurations compute what fastai 1.0.61" in capsys.readouterr().out
    words = ["--inject-fault", "weight_decay_0", "--explain", "--epochs", "99"]
    assert main([*call, *words]) == 1
    printed, said = capsys.readouterr()
    assert "left out: Model4 on ensemble (ensemble has a training loop of its own)" in said
    longest = VARIANTS["Model4"].epochs
    assert f"--epochs 99: a training ends with its recipe, {longest} or fewer" in said
    assert "Model4   nn       another computation" in printed
    assert "departs first in the optimizer settings (step 0, setting wd, float64)" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["verify", "--variants", "Model9"], "unknown variant 'Model9'"),
        (["verify", "--backends", "none"], "unknown backend 'none'"),
        (["verify", "--seeds", "none"], "is not a seed or a range"),
        (
            ["verify", "--seeds", "58-60"],
            "Model0 has no reference run of seed 60: choose from 0 to 59 (`--seeds 60` means all",
        ),
        (["verify", "--inject-fault", "none"], "unknown injected fault 'none'"),
        (["rounding", "--output", "x", "--kinds", "none"], "unknown kind 'none'"),
        (["rounding", "--output", "x", "--kinds", "threads_4,same_bits"], "unknown kind"),
    ],
)
def test_bad_words(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong name is said in one line, before anything is trained."""
    assert exit_code(main, words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_help_names_the_stages(capsys: pytest.CaptureFixture[str]) -> None:
    """Every stage at which a run can depart is named."""
    assert exit_code(main, ["verify", "--help"]) == 0
    printed = "".join(capsys.readouterr().out.split())
    assert all("".join(stage.split()) in printed for stage in STAGES.values())


def test_help_names_the_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    """Every healthy kind can be named."""
    assert exit_code(main, ["rounding", "--help"]) == 0
    printed = "".join(capsys.readouterr().out.split())
    assert all(name in printed for name in KINDS)
