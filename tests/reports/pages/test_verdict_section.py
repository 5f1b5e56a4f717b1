"""What the verdict section says about gates, and the command that confirms a suspicion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.pages.verdict_section import confirmation_command, gates_line
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import Judgement, judge
from tests.made_up import notebook_night as night


@pytest.fixture(scope="module")
def suspected() -> Judgement:
    """A night in which Model5 is suspected."""
    return judge(Evidence.of(night(60, start=100, moved={"Model5": 0.3}), night(60)))


def test_confirmation_command(suspected: Judgement) -> None:
    """The command trains fresh seeds with the night's own settings, and quotes the folder."""
    assert "--variants Model5 --backends nn --seeds 160-219" in confirmation_command(suspected)
    elsewhere = replace(suspected, confirmation_folder="night of/fresh")
    assert confirmation_command(elsewhere).endswith("--results 'night of/fresh'")
    kind = {
        "dtype": "float64",
        "initialisation": "uniform",
        "device": "cuda",
        "injected_fault": "same_seed",
    }
    assert (
        "--dtype float64 --initialisation uniform --device cuda --inject-fault same_seed --results"
        in confirmation_command(replace(suspected, kind=kind))
    )


def test_gates_in_words(suspected: Judgement) -> None:
    """Every gate is listed with its state, and a gate that did not run says why."""
    line = gates_line(suspected)
    assert line.startswith(
        "**Gates.** Passed: complete data. Not run: same computation (480 runs: "
    )
    assert line.endswith(
        "notebook's tables (the baseline decides; the tables are shown below); same as the "
        "baseline (480 runs: no such run in the baseline); confirmation (there are no sound "
        "runs of fresh seeds); throughput (the baseline was not timed); last night's gates (no "
        "history was given). "
        "Failed: accuracy and loss."
    )
