"""The verdict on a night of which several things are known: the worst that is certain decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from bench.store.records import FAILED
from bench.store.store import Contents
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding
from reports.verdict.judgement import Judgement, judge
from tests.computed_nights import computed_night, departing
from tests.made_up import throughput_rows
from tests.reports.verdict.test_judgement import night

WORSE = {"Model5": 0.3}
SEEDS = 30
Hole = Callable[[Contents], Contents]


def timed(milliseconds: float) -> pd.DataFrame:
    """Return a measurement in which the hand-written loop takes so long."""
    rows = throughput_rows({"nn": 2.0, "custom": milliseconds}, rounds=20)
    return rows.assign(wall_seconds=rows["wall_seconds"] / (1 + rows["round"]))


def another_computation(hole: Hole) -> Evidence:
    """Return a night that departs from the reference."""
    return Evidence.of(hole(departing(computed_night(2), "Model4", 0.3)))


def another_than_the_baseline(hole: Hole) -> Evidence:
    """Return a night without a reference that departs from its baseline."""
    contents = computed_night(2)
    contents.runs["initial_weights_sha256"] = None
    return Evidence.of(hole(departing(contents, "Model4", 0.3)), contents)


def regression(hole: Hole) -> Evidence:
    """Return a night that is worse, confirmed on fresh seeds."""
    fresh = night(SEEDS, start=200, moved=WORSE)
    return Evidence.of(hole(night(SEEDS, start=100, moved=WORSE)), night(SEEDS), fresh)


def slower(hole: Hole) -> Evidence:
    """Return a night with a slower backend."""
    return Evidence.of(hole(night(5, samples=timed(6.0))), night(5, samples=timed(3.0)))


def surprise(hole: Hole) -> Evidence:
    """Return a night that a finding does not fit."""
    return Evidence.of(hole(night(20)), findings=(Finding("Model4", 0, 1000, "known"),))


PROOFS = {
    another_computation: ("differs", "Model4 nn is another computation than fastai 1.0.61's"),
    another_than_the_baseline: ("differs", "Model4 nn is another computation than the baseline's"),
    regression: ("regressed", "Model5 nn: valid_loss is worse"),
    slower: ("regressed", "Model4 custom: train_step at 0.50 of the baseline's throughput"),
    surprise: ("differs", "the accepted finding has 0 of 1000"),
}
"""Evidence of a failure by itself, with the verdict and a part of the reason."""


def missing_configuration(contents: Contents) -> Contents:
    """Leave out a configuration."""
    return replace(contents, runs=contents.runs[contents.runs["variant"] != "Model6"])


def missing_run(contents: Contents) -> Contents:
    """Leave out a run."""
    last = (contents.runs["variant"] == "Model6") & (
        contents.runs["seed"] == contents.runs["seed"].max()
    )
    return replace(contents, runs=contents.runs[~last])


def failed_run(contents: Contents) -> Contents:
    """Let the last run fail."""
    runs = contents.runs.copy()
    runs.loc[runs.index[-1], ["status", "error"]] = [FAILED, "RuntimeError: injected"]
    return replace(contents, runs=runs)


def unreadable(contents: Contents) -> Contents:
    """Add a file that cannot be read."""
    return replace(contents, unreadable={"runs/x.parquet": "cut short"})


def mixed(contents: Contents) -> Contents:
    """Let the last run be another machine's."""
    runs = contents.runs.copy()
    runs.loc[runs.index[-1], "driver_version"] = "1"
    return replace(contents, runs=runs)


HOLES: dict[Hole, str] = {
    missing_configuration: "missing configuration: Model6 cell has no runs",
    missing_run: "missing runs: Model6 cell lacks seeds ",
    failed_run: "failed run: Model7 custom seed ",
    unreadable: "unreadable file: runs/x.parquet: cut short",
    mixed: "mixed provenance: driver_version: ",
}


def listed(judgement: Judgement, part: str) -> bool:
    """Say whether a reason has these words."""
    return any(part in reason for reason in judgement.reasons)


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("proof", PROOFS)
def test_a_proven_failure_wins_over_a_hole(proof: Callable[[Hole], Evidence], hole: Hole) -> None:
    """Whatever is missing, the exit code is 1, and both are listed."""
    verdict, reason = PROOFS[proof]
    judgement = judge(proof(hole))
    assert (judgement.verdict, judgement.exit_code) == (verdict, 1)
    assert reason in judgement.reasons[0]
    assert listed(judgement, HOLES[hole])
    assert len(set(judgement.reasons)) == len(judgement.reasons)


@pytest.mark.parametrize("hole", HOLES)
def test_a_suspicion_beside_a_hole(hole: Hole) -> None:
    """It proves nothing, so that the night is incomplete, and it is listed."""
    judgement = judge(replace(regression(hole), confirmation=None))
    assert (judgement.verdict, judgement.exit_code) == ("incomplete", 3)
    assert HOLES[hole] in judgement.reasons[0]
    assert listed(judgement, "Model5 nn: valid_loss is suspected to")


def repeated(variant: str) -> Hole:
    """Give all runs of a variant the same weights."""

    def repeat(contents: Contents) -> Contents:
        runs = contents.runs.copy()
        runs.loc[runs["variant"] == variant, "weights_sha256"] = "the same"
        return replace(contents, runs=runs)

    return repeat


def another_start(contents: Contents) -> Contents:
    """Let all BatchNorm weights start uniformly."""
    return replace(contents, runs=contents.runs.assign(initialisation="uniform"))


@pytest.mark.parametrize(
    ("hole", "exit_code", "why"),
    [
        (repeated("Model5"), 3, "repeated run: Model5 nn: the same weights from seeds 100-129"),
        (repeated("Model6"), 1, "repeated run: Model6 cell: the same weights from seeds 100-129"),
        (another_start, 3, "another kind of run: the baseline has initialisation ones"),
    ],
    ids="repeated elsewhere kind".split(),
)
def test_values_that_prove_nothing(hole: Hole, exit_code: int, why: str) -> None:
    """One seed under many names, or another kind of baseline: a fall is listed, not certain."""
    evidence = regression(hole)
    assert evidence.confirmation is not None
    fresh = evidence.confirmation.contents
    if hole is another_start:
        fresh = another_start(fresh)
    evidence = Evidence.of(evidence.night.contents, night(SEEDS), fresh)
    judgement = judge(evidence)
    assert judgement.exit_code == exit_code
    assert listed(judgement, why)
    assert listed(judgement, "Model5 nn: valid_loss is worse")
