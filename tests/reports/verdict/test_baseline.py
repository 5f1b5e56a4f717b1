"""A night against a baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hnrnn.variants import VARIANTS
from reports.statistics import smallest_visible_drop
from reports.verdict.baseline import (
    CHANGED,
    EQUAL,
    INCONCLUSIVE,
    REGRESSED,
    SUSPECTED,
    hold_against_baseline,
)


def made_up_grid(
    seeds: int, *, start: int = 0, moved: dict[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """Return final values of every variant on its own backend, one row per run.

    The draws are those of the seed; ``moved`` lowers a configuration's accuracy and raises its
    loss.
    """
    rows = []
    for seed in range(start, start + seeds):
        generator = np.random.default_rng(seed)
        for variant in VARIANTS.values():
            configuration = (variant.name, variant.backend)
            by = (moved or {}).get(configuration, 0.0)
            accuracy, loss = generator.standard_normal(2) * [0.03, 0.2] + [0.7 - by, 1.5 + by]
            rows.append(
                {
                    "run_id": f"{variant.name}-{seed}",
                    "variant": variant.name,
                    "backend": variant.backend,
                    "seed": seed,
                    "device": "cpu",
                    "weights_sha256": f"{configuration}{seed}{by}",
                    "accuracy": accuracy,
                    "valid_loss": loss,
                }
            )
    return pd.DataFrame(rows)


BASELINE = made_up_grid(60)
WORSE = {("Model5", "nn"): 0.06}


def test_the_same_night_again() -> None:
    """The same seeds with the same values are equal, pair by pair."""
    found = hold_against_baseline(BASELINE, BASELINE)
    assert found.verdict == EQUAL
    assert found.first.how == "seed by seed"
    assert all(d.p == 1 and d.mean == d.baseline_mean for d in found.first.differences)


def test_rounding_that_moves_every_seed_the_same_way_is_no_change() -> None:
    """Losses that are 1e-7 higher on every seed are the baseline's; 1e-2 higher is a change."""
    for by, verdict in ((1e-7, EQUAL), (1e-2, SUSPECTED)):
        night = BASELINE.assign(valid_loss=BASELINE["valid_loss"] + by)
        found = hold_against_baseline(night, BASELINE)
        assert found.verdict == verdict
        assert (min(d.p for d in found.first.differences) == 1) == (verdict == EQUAL)


def test_fresh_seeds_without_a_change() -> None:
    """Other seeds of the same law are equal; the level allows for the baseline's seed variance."""
    found = hold_against_baseline(made_up_grid(60, start=1000), BASELINE)
    assert found.verdict == EQUAL
    assert found.first.how == "between independent seeds"
    assert 0 < found.first.corrected < found.first.level == 0.05
    assert len(found.first.differences) == 16
    few = hold_against_baseline(made_up_grid(20, start=1000), BASELINE).first.differences[0]
    accuracies = BASELINE.loc[BASELINE["variant"] == "Model0", "accuracy"]
    options = {"night": 20, "baseline": 60, "level": 0.05, "columns": 16, "two_sided": True}
    assert (few.variant, few.measure) == ("Model0", "accuracy")
    assert few.visible == pytest.approx(smallest_visible_drop(accuracies, **options))


def test_a_regression_is_suspected_then_confirmed() -> None:
    """A worse configuration is suspected, alone; fresh seeds that are worse confirm it."""
    night = made_up_grid(60, start=1000, moved=WORSE)
    found = hold_against_baseline(night, BASELINE)
    assert found.verdict == SUSPECTED
    assert {d.configuration for d in found.first.suspects} == {("Model5", "nn")}
    worse = next(d for d in found.first.suspects if d.measure == "accuracy")
    assert worse.worse
    assert worse.mean == pytest.approx(worse.baseline_mean - 0.06, abs=0.02)
    confirmed = hold_against_baseline(night, BASELINE, made_up_grid(60, start=5000, moved=WORSE))
    assert confirmed.verdict == REGRESSED
    assert confirmed.confirmation is not None
    assert {d.configuration for d in confirmed.confirmation.differences} == {("Model5", "nn")}
    assert {d.measure for d in confirmed.confirmed} == {"accuracy"}


def test_a_suspicion_is_cleared() -> None:
    """Fresh seeds that are as good as the baseline's clear what was suspected."""
    night = made_up_grid(60, start=1000, moved=WORSE)
    found = hold_against_baseline(night, BASELINE, made_up_grid(60, start=5000))
    assert found.verdict == EQUAL
    assert found.confirmation is not None
    assert not found.confirmed


def test_fresh_seeds_clear_only_what_they_would_have_seen() -> None:
    """Half as many seeds rule out a large difference, and no number of strangers a small one."""
    night = made_up_grid(60, start=1000, moved=WORSE)
    for seeds, verdict in ((20, SUSPECTED), (30, EQUAL)):
        found = hold_against_baseline(night, BASELINE, made_up_grid(seeds, start=5000))
        assert found.verdict == verdict
        assert found.not_cleared == ("" if verdict == EQUAL else "there are too few of them")
    little = {("Model5", "nn"): 0.004}
    night, fresh = made_up_grid(60, moved=little), made_up_grid(60, start=5000, moved=little)
    found = hold_against_baseline(night, BASELINE, fresh)
    assert found.verdict == SUSPECTED
    assert found.not_cleared == (
        "they are compared between independent seeds, and what is suspected seed by seed"
    )
    with_pairs = pd.concat([BASELINE, made_up_grid(60, start=5000)])
    assert hold_against_baseline(night, with_pairs, fresh).verdict == REGRESSED
    same = hold_against_baseline(night, with_pairs, made_up_grid(60, start=5000))
    assert same.verdict == EQUAL


def test_a_suspicion_of_diverged_runs_is_cleared() -> None:
    """Fresh seeds of which none diverged rule out that half of all do."""
    night = made_up_grid(60, start=1000)
    half = (night["variant"] == "Model7") & (night["seed"] % 2 == 0)
    night.loc[half, ["accuracy", "valid_loss"]] = np.nan
    fresh = made_up_grid(60, start=5000)
    assert hold_against_baseline(night, BASELINE, fresh).verdict == EQUAL


def test_too_few_seeds_are_inconclusive() -> None:
    """A night that could reject nothing has shown nothing."""
    found = hold_against_baseline(made_up_grid(1, start=1000), made_up_grid(3))
    assert not found.first.enough
    assert found.verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("seeds", "baseline_seeds", "enough"),
    [(2, 20, False), (4, 12, False), (5, 5, False), (6, 6, False), (8, 8, True), (20, 60, True)],
)
def test_seeds_that_can_reject_whatever_the_grid(
    seeds: int, baseline_seeds: int, *, enough: bool
) -> None:
    """The p-value of a model that is far worse, adjusted for all columns, must reach the level."""
    night = made_up_grid(seeds, start=1000, moved={("Model4", "nn"): 9.0})
    found = hold_against_baseline(night, made_up_grid(baseline_seeds))
    assert found.first.enough == enough
    assert found.verdict == (SUSPECTED if enough else INCONCLUSIVE)


@pytest.mark.parametrize(
    ("pairs", "start", "enough"),
    [(5, 0, False), (8, 0, True), (5, 60, False), (8, 60, False), (12, 60, True)],
)
def test_pairs_that_can_reject_whatever_the_grid(pairs: int, start: int, *, enough: bool) -> None:
    """Eight equal pairs would show a change of one column, and eight that all moved would not."""
    baseline = made_up_grid(pairs)
    night = made_up_grid(pairs, start=start).assign(seed=baseline["seed"])
    found = hold_against_baseline(night, baseline)
    assert found.first.how == "seed by seed"
    assert found.first.enough == enough
    assert found.verdict == (EQUAL if enough else INCONCLUSIVE)
    night.loc[night["variant"] == "Model4", "accuracy"] = 0.0
    assert hold_against_baseline(night, baseline).first.suspects or not enough


def test_an_improvement_is_a_change() -> None:
    """What is better is suspected too; better again with fresh seeds, it is a change."""
    better = {("Model5", "nn"): -0.06}
    night = made_up_grid(60, start=1000, moved=better)
    found = hold_against_baseline(night, BASELINE)
    assert found.verdict == SUSPECTED
    assert {(d.configuration, d.worse) for d in found.first.suspects} == {(("Model5", "nn"), False)}
    fresh = made_up_grid(60, start=5000, moved=better)
    assert hold_against_baseline(night, BASELINE, fresh).verdict == CHANGED


@pytest.mark.parametrize("by", [0.06, -0.06], ids=["worse", "better"])
def test_fresh_seeds_that_differ_the_other_way_clear_nothing(by: float) -> None:
    """Worse and then better, or better and then worse, is not the same as the baseline."""
    night = made_up_grid(60, start=1000, moved={("Model5", "nn"): by})
    opposite = made_up_grid(60, start=5000, moved={("Model5", "nn"): -by})
    found = hold_against_baseline(night, BASELINE, opposite)
    assert found.verdict == SUSPECTED
    assert found.not_cleared == "they differ the other way"


def test_pairs_see_small_changes() -> None:
    """The same seeds moved by a little each are found by pairs, where strangers hide it."""
    little = {("Model5", "nn"): 0.004}
    paired = hold_against_baseline(made_up_grid(60, moved=little), BASELINE)
    strangers = hold_against_baseline(made_up_grid(60, start=1000, moved=little), BASELINE)
    assert paired.first.how == "seed by seed"
    assert paired.verdict == SUSPECTED
    assert {d.configuration for d in paired.first.suspects} == {("Model5", "nn")}
    assert strangers.verdict == EQUAL


def test_diverged_runs_are_worse_than_any() -> None:
    """A configuration half of whose runs diverged is suspected, whatever the other half."""
    night = made_up_grid(60, start=1000)
    half = (night["variant"] == "Model7") & (night["seed"] % 2 == 0)
    night.loc[half, ["accuracy", "valid_loss"]] = np.nan
    found = hold_against_baseline(night, BASELINE)
    assert {d.configuration for d in found.first.suspects} == {("Model7", "custom")}


def test_seeds_that_are_partly_the_same() -> None:
    """Seeds that both have are pairs, and the others are independent; none is left out."""
    found = hold_against_baseline(made_up_grid(60, start=20), BASELINE).first
    assert found.how == "seed by seed, and for the other seeds between independent seeds"
    assert {(d.seeds, d.baseline_seeds, d.pairs) for d in found.differences} == {(60, 60, 40)}
    assert all(np.isnan(d.visible) for d in found.differences)
    subset = hold_against_baseline(made_up_grid(5), BASELINE).first
    assert {(d.seeds, d.baseline_seeds, d.pairs) for d in subset.differences} == {(5, 5, 5)}


def test_the_level_allows_for_what_the_baseline_contributes() -> None:
    """Pairs that are close have nearly the whole level, independent seeds a part of it."""
    close = made_up_grid(60, moved={("Model5", "nn"): 1e-6})
    assert hold_against_baseline(close, BASELINE).first.corrected > 0.03
    strangers = hold_against_baseline(made_up_grid(60, start=1000), BASELINE).first
    assert strangers.corrected == pytest.approx(0.01, abs=1e-3)


def test_nothing_in_common() -> None:
    """Configurations that the baseline lacks are not tested; without any there is no verdict."""
    other = pd.DataFrame(BASELINE[BASELINE["variant"] == "Model0"])
    night = pd.DataFrame(BASELINE[BASELINE["variant"] == "Model1"])
    found = hold_against_baseline(night, other)
    assert found.verdict == INCONCLUSIVE
    assert found.first.differences == ()
