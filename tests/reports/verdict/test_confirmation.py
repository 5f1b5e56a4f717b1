"""Fresh seeds, and the published runs that they are paired with."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bench.plan.plan import parse_seeds
from bench.store.store import Contents
from reports.runs.night import Night, is_in
from reports.runs.reading import read
from reports.runs.selection import with_runs
from reports.verdict import confirmation
from reports.verdict.acceptance import Acceptance
from reports.verdict.against_baseline import hold
from reports.verdict.baseline import EQUAL, REGRESSED, SUSPECTED
from reports.verdict.confirmation import fresh_seeds, published_pairs
from reports.verdict.evidence import Evidence
from reports.verdict.judgement import judge

PUBLISHED = Path(confirmation.FOLDER) / "cpu"
MODEL4 = ("Model4", "nn")
FALL = 0.005
"""Half a point: pairs see it, and independent seeds of this number do not."""


@pytest.fixture(scope="module")
def runs() -> Contents:
    """Return the published runs of Model4 from ones."""
    contents = read(PUBLISHED)
    own = is_in(contents.runs, {MODEL4}) & (contents.runs["initialisation"] == "ones")
    return with_runs(contents, contents.runs[own])


def night(runs: Contents, first: int, last: int, fall: float = 0.0) -> Night:
    """Return a range of seeds whose last accuracies fell."""
    found = with_runs(runs, runs.runs[runs.runs["seed"].between(first, last)])
    final = found.epochs["epoch"] == found.epochs["epoch"].max()
    found.epochs.loc[final, "accuracy"] -= fall
    return Night.of(found)


def test_fresh_seeds_prefer_published_ones() -> None:
    """Published seeds that nobody used come first, if they are at least half as many as needed."""
    assert fresh_seeds({0, 1, 2}, 3, range(6)) == "3-5"
    assert fresh_seeds({0, 1, 4}, 3, range(6)) == "2-3,5"
    assert fresh_seeds({0, 1, 2}, 4, range(5)) == "3-4"
    assert fresh_seeds({0, 1, 2}, 5, range(5)) == "3-7"
    assert parse_seeds(fresh_seeds({0, 1, 4}, 3, range(6))) == [2, 3, 5]


def test_published_pairs(runs: Contents, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A baseline that computes what they do has them; another baseline, and a wheel, have none."""
    pairs = published_pairs(night(runs, 0, 9), {MODEL4})
    assert sorted(pairs["seed"]) == list(range(1000))
    assert set(pairs["backend"]) == {"nn"}
    assert published_pairs(night(runs, 0, 9), {MODEL4, ("Model4", "cell")})["seed"].size == 2000
    other = night(runs, 0, 9)
    other.contents.epochs["valid_loss"] += 0.01
    assert published_pairs(other, {MODEL4}).empty
    monkeypatch.setattr(confirmation, "FOLDER", tmp_path)
    assert published_pairs(night(runs, 0, 9), {MODEL4}).empty


@pytest.mark.parametrize("same", [True, False], ids=["same", "accepted"])
def test_a_small_fall_is_confirmed_by_published_pairs(runs: Contents, same: bool) -> None:  # noqa: FBT001
    """Where the baseline departs from the reference there are none, and nothing is cleared."""
    before = night(runs, 0, 39)
    if not same:
        before.contents.epochs["valid_loss"] += 0.01
    tonight = night(runs, 0, 39, FALL)
    suspected = hold(tonight, before, None)
    assert suspected.comparison is not None
    assert suspected.comparison.verdict == SUSPECTED
    assert suspected.confirmation_seeds == "40-79"
    fresh = night(runs, 40, 79, FALL)
    later = pd.Timestamp("2100-01-01", tz="UTC")
    for each in (fresh.contents.runs, fresh.selection.grid):
        each["started_at"] = later
    found = hold(tonight, before, fresh)
    assert found.problems == []
    assert found.comparison is not None
    assert found.comparison.verdict == (REGRESSED if same else SUSPECTED)
    if not same:
        assert found.comparison.not_cleared == (
            "they are compared between independent seeds, and what is suspected seed by seed"
        )


def suspected(runs: Contents) -> tuple[Night, Night]:
    """Return a night of seeds without a reference that is worse than its baseline, and that."""
    tonight = night(runs, 100, 139, 0.06)
    for each in (tonight.contents.runs, tonight.contents.epochs, tonight.selection.grid):
        each["seed"] += 10_000
    return tonight, night(runs, 0, 39)


def later(fresh: Night) -> Night:
    """Return fresh runs that are younger than the night's."""
    for each in (fresh.contents.runs, fresh.selection.grid):
        each["started_at"] = pd.Timestamp("2100-01-01", tz="UTC")
    return fresh


def test_fresh_seeds_are_held_against_their_references(runs: Contents) -> None:
    """Fresh seeds whose means are right clear nothing if they are another computation."""
    tonight, before = suspected(runs)
    healthy = hold(tonight, before, later(night(runs, 40, 79)))
    assert healthy.comparison is not None
    assert (healthy.comparison.verdict, healthy.problems) == (EQUAL, [])
    assert healthy.fresh is not None
    assert healthy.fresh.passed
    other = later(night(runs, 40, 79))
    other.contents.epochs["train_loss"] += 0.01
    held = hold(tonight, before, other)
    assert held.comparison is not None
    assert held.comparison.verdict == SUSPECTED
    assert held.comparison.not_cleared == ("they depart from the reference runs of their seeds")
    assert held.fresh is not None
    assert [each.name for each in held.fresh.others] == ["Model4 nn"]
    unknown = later(night(runs, 40, 79))
    unknown.contents.runs["initial_weights_sha256"] = None
    (problem,) = hold(tonight, before, Night.of(unknown.contents, like=tonight)).problems
    assert "no recorded initial weights, unlike tonight's" in str(problem)
    reason = "their training losses were scaled"
    accepted = Acceptance(reason, "2026-01-02T03:04:05Z", "0" * 40, ("Model4 nn",), ())
    allowed = hold(tonight, before, other, accepted)
    assert allowed.comparison is not None
    assert allowed.comparison.verdict == EQUAL


def test_fresh_seeds_that_depart_fail_the_night(runs: Contents) -> None:
    """The verdict says that they are another computation."""
    tonight, before = suspected(runs)
    fresh = later(night(runs, 40, 79))
    fresh.contents.epochs["train_loss"] += 0.01
    judgement = judge(Evidence(tonight, before, fresh))
    assert judgement.exit_code == 1
    assert judgement.reasons[0].startswith(
        "on fresh seeds, Model4 nn is another computation than fastai 1.0.61's: first in epoch 0"
    )
    states = {gate.name: gate.state for gate in judgement.gates}
    assert states["confirmation"] == "not run"
