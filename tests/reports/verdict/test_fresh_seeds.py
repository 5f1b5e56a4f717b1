"""Fresh seeds are examined before they confirm or clear anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from bench.store.store import Contents
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import judge
from tests.reports.verdict.test_gates import elsewhere, states
from tests.reports.verdict.test_judgement import night


def fresh(seeds: int = 60, start: int = 200, **options: object) -> Contents:
    """Return runs of fresh seeds in which Model5 is as bad as tonight."""
    return night(seeds, start=start, moved={"Model5": 0.3}, **options)  # type: ignore[arg-type]


def only(contents: Contents, variant: str, seeds: range) -> pd.Series:
    """Say which runs are of a variant and these seeds."""
    return (contents.runs["variant"] == variant) & contents.runs["seed"].isin(seeds)


def half_failed() -> Contents:
    """Return fresh runs of which every second seed failed."""
    contents = fresh()
    failed = only(contents, "Model5", range(200, 260, 2))
    contents.runs.loc[failed, ["status", "error"]] = ["failed", "RuntimeError: injected"]
    return contents


def short() -> Contents:
    """Return fresh runs of one epoch."""
    contents = fresh()
    return replace(contents, runs=contents.runs.assign(epochs=1))


def older(contents: Contents) -> Contents:
    """Return runs of the day before."""
    started_at = contents.runs["started_at"] - pd.Timedelta(days=1)
    return replace(contents, runs=contents.runs.assign(started_at=started_at))


@pytest.mark.parametrize(
    ("confirmation", "count", "expected"),
    [
        (half_failed, 30, "confirmation: failed run: Model5 nn seed 200: RuntimeError: injected"),
        (short, 1, "confirmation: Model5 nn has no run of the full recipe"),
        (
            lambda: replace(fresh(), unreadable={"runs/x.parquet": "cut short"}),
            1,
            "confirmation: unreadable file: runs/x.parquet: cut short",
        ),
        (
            lambda: elsewhere(fresh(), torch_version="2.12.0"),
            1,
            "confirmation: torch_version is 2.12.0, tonight's 2.13.0",
        ),
        (
            lambda: elsewhere(fresh(), device_name="a GPU"),
            1,
            "confirmation: device_name is a GPU, tonight's a processor",
        ),
        (
            lambda: elsewhere(fresh(), injected_fault="lr_times_3"),
            1,
            "confirmation: injected_fault is lr_times_3, tonight's none",
        ),
        (
            lambda: older(fresh()),
            1,
            "confirmation: its runs are older than the night's: delete them and train fresh seeds",
        ),
        (
            lambda: night(60),
            1,
            "confirmation: seeds 0-59 are not fresh: the night or the baseline has them",
        ),
        (
            lambda: night(60, start=100, moved={"Model5": 0.3}),
            1,
            "confirmation: seeds 100-159 are not fresh: the night or the baseline has them",
        ),
    ],
    ids="failed short unreadable torch device fault older baseline night".split(),
)
def test_fresh_seeds_are_examined(
    confirmation: Callable[[], Contents], count: int, expected: str
) -> None:
    """What cannot confirm is named, and neither clears a night nor leaves it merely open."""
    evidence = Evidence.of(night(60, start=100, moved={"Model5": 0.3}), night(60), confirmation())
    judgement = judge(evidence)
    assert judgement.exit_code == 3
    assert len(judgement.problems) == count
    assert judgement.reasons[0] == expected
    assert "is suspected to" in judgement.reasons[-1]
    assert states(judgement)["confirmation"] == "not run"
    assert judgement.confirmation_seeds == "160-219"


def test_fresh_seeds_that_one_suspect_lacks() -> None:
    """Every suspected configuration needs the same fresh seeds."""
    worse = {"Model5": 0.3, "Model6": 0.3}
    confirmation = night(60, start=200, moved=worse)
    lost = only(confirmation, "Model6", range(230, 260))
    confirmation = replace(confirmation, runs=confirmation.runs[~lost])
    judgement = judge(Evidence.of(night(60, start=100, moved=worse), night(60), confirmation))
    assert [str(problem) for problem in judgement.problems] == [
        "confirmation: Model6 cell has no run of the full recipe of seeds 230-259"
    ]


def test_fresh_seeds_that_nothing_asks_for_are_not_examined() -> None:
    """Where nothing is suspected, leftover runs of another environment change nothing."""
    leftover = elsewhere(fresh(), torch_version="2.12.0")
    assert judge(Evidence.of(night(60), night(60), leftover)).verdict == "agrees"
