"""Slow drift over nights: what is found, and how seldom where nothing has changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm

from reports.history.columns import FIRST_NIGHTS
from reports.history.drift import Drift, DriftTest, find_drifts, lasting_seed_variance
from reports.history.nights import SCHEMA
from reports.statistics.cusum import REFERENCE_VALUE, threshold
from tests.history_data import (
    ACCURACY,
    ACCURACY_SD,
    FIRST,
    even,
    made_up_baseline,
    made_up_history,
    summary,
)

Array = NDArray[np.float64]

CHANGED = 20
"""The night from which on a injected drift moves the means."""


def night(number: int) -> pd.Timestamp:
    """Return a made-up night's start."""
    return FIRST + pd.Timedelta(days=number)


def at_accuracy(
    nights: int, standard_errors: float, *, seeds: int = 25, fresh: bool = True, first: int = 0
) -> pd.DataFrame:
    """Return nights that all have the same accuracies, so far above, and the same losses."""
    draws = np.array([even(seeds) + standard_errors / np.sqrt(seeds), even(seeds)])
    rows = [
        summary(number, draws, start=seeds * number if fresh else 0)
        for number in range(first, first + nights)
    ]
    return pd.DataFrame(rows, columns=SCHEMA.names)


@pytest.mark.parametrize("random", range(12))
def test_faulty_drift_is_found(random: int) -> None:
    """A drift of one standard error a night is found within eight nights, dated and told right."""
    history = made_up_history(40, drift=1.0, drift_from=CHANGED, random=random)
    test = find_drifts(history, made_up_baseline(100))
    assert [(drift.measure, drift.worse) for drift in test.drifts] == [
        ("accuracy", True),
        ("valid_loss", True),
    ]
    for drift in test.drifts:
        assert night(CHANGED) < drift.flagged[0] <= night(CHANGED + 8)
        assert abs(drift.since - night(CHANGED)) <= pd.Timedelta(days=4)
        assert drift.standing
        assert drift.flagged[-1] == night(39)
        assert abs(drift.score) > 4


def test_by_hand() -> None:
    """Nights above every seed of the baseline have the highest score, and alarm at h / (z - k)."""
    history, baseline = at_accuracy(12, 40.0), made_up_baseline(100)
    test = find_drifts(history, baseline)
    assert (test.columns, test.nights, test.with_baseline) == (2, 12, True)
    assert test.threshold == threshold(1095, 4)  # two charts for each
    (drift,) = test.drifts
    score = np.sqrt(3 * 25 * 100 / 101)
    reference_value = REFERENCE_VALUE + lasting_seed_variance(2) * np.sqrt(25 / 101)
    needed = int(np.ceil(test.threshold / (score - reference_value)))
    assert drift == Drift(
        variant="Model5",
        backend="nn",
        measure="accuracy",
        since=night(0),
        flagged=tuple(night(number) for number in range(needed - 1, 12)),
        standing=True,
        mean=pytest.approx(ACCURACY + 8 * ACCURACY_SD, abs=1e-4),
        reference_mean=pytest.approx(ACCURACY, abs=1e-4),
        score=pytest.approx(score),
    )
    assert not drift.worse


def test_a_drift_that_has_gone() -> None:
    """A drift that went back is told as one that is no longer flagged."""
    history = pd.concat([at_accuracy(10, -6.0), at_accuracy(50, 0.0, first=10)])
    (drift,) = find_drifts(history, made_up_baseline(1000)).drifts
    assert drift.worse
    assert not drift.standing
    assert drift.since == night(0)
    assert drift.flagged[0] < night(5)
    assert night(10) <= drift.flagged[-1] <= night(15)
    assert drift.score < -2


def test_seed_variance_of_the_baseline() -> None:
    """A baseline that is lucky by two of its standard errors makes no drift, however long."""
    history = at_accuracy(400, 0.0)
    assert find_drifts(history, made_up_baseline(25, moved=2.0)).drifts == ()
    # The same distance in accuracy, from a baseline of many more seeds, is one.
    far = made_up_baseline(2500, moved=20.0)
    assert [drift.measure for drift in find_drifts(history, far).drifts] == ["accuracy"]


def test_seed_variance_of_seeds_that_are_run_again() -> None:
    """Seeds that are lucky, and are run every night again, make no drift; fresh ones do."""
    baseline = made_up_baseline(1000)
    assert find_drifts(at_accuracy(400, 2.5, fresh=False), baseline).drifts == ()
    assert len(find_drifts(at_accuracy(400, 2.5), baseline).drifts) == 1
    # What is beyond all seed variance is found with the same seeds too.
    assert len(find_drifts(at_accuracy(20, -8.0, fresh=False), baseline).drifts) == 1


def of_seeds(number: int, draws: Array, *, start: int = 10**6) -> pd.DataFrame:
    """Return a night whose seeds, by default the baseline's first, have these draws."""
    return pd.DataFrame([summary(number, draws, start=start)], columns=SCHEMA.names)


def test_pairs() -> None:
    """Seeds of the baseline are no drift, however lucky; a quarter of a deviation is one at once.

    Unpaired, the best five of a hundred seeds would be one, and such a fall would not.
    """
    lucky = np.tile(even(100)[-20:], (2, 1))
    draws = np.concatenate([lucky, np.tile(even(100)[:80], (2, 1))], axis=1)
    baseline = of_seeds(-1, draws)
    steady = pd.concat([of_seeds(number, lucky) for number in range(60)])
    assert find_drifts(steady, baseline).drifts == ()
    moved = pd.concat([of_seeds(number, draws - np.array([[0.25], [0]])) for number in range(10)])
    (drift,) = find_drifts(moved, baseline).drifts
    assert drift.worse
    assert drift.flagged[0] <= night(8)
    assert drift.mean - drift.reference_mean == pytest.approx(-0.25 * ACCURACY_SD, abs=1e-4)


def test_pairs_that_differ_at_random() -> None:
    """Seeds of a chaotic model, whose pairs differ by much either way, make no drift."""
    generator = np.random.default_rng(5)
    draws = np.tile(generator.permutation(even(100)), (2, 1))
    alarms = 0
    for _ in range(100):
        again = 0.8 * draws[:, :20] + 0.6 * generator.standard_normal((2, 20))
        nights = pd.concat([of_seeds(number, again) for number in range(40)])
        alarms += bool(find_drifts(nights, of_seeds(-1, draws)).drifts)
    assert alarms <= 5


def test_nights_without_values() -> None:
    """Nights of an older version, which kept means only, are counted and not tested."""
    history = at_accuracy(12, 40.0)
    history.loc[history["night"] < night(8), "final_values"] = None
    test = find_drifts(history, made_up_baseline(100))
    assert (test.nights, test.without_values) == (4, 8)
    assert test.drifts[0].since == night(8)
    older = find_drifts(history[:8], made_up_baseline(100))
    assert (older.columns, older.without_values) == (0, 8)


def test_skewed_seeds() -> None:
    """Twenty skewed seeds a night against a hundred alarm no more often than stated.

    With a t statistic, a third of such histories did, where 24% or less was stated.
    """
    generator = np.random.default_rng(2)
    alarms = 0
    for _ in range(20):
        values = -generator.lognormal(sigma=1.0, size=(101, 2, 20))
        baseline = of_seeds(-1, np.concatenate([*values[:5]], axis=1))
        nights = [of_seeds(n, draws, start=20 * n) for n, draws in enumerate(values[5:])]
        alarms += bool(find_drifts(pd.concat(nights), baseline).drifts)
    assert alarms <= 2


def false_alarms(columns: int, ratio: float, stays: float, nights: int) -> float:
    """Return the share of baselines that alarm more than once in ``nights``, by simulation.

    ``ratio`` is the night's seeds over the baseline's.
    """
    generator = np.random.default_rng(3)
    baselines, runs = 300, 60
    seed_variance = np.repeat(generator.standard_normal((baselines, columns)), runs, axis=0)
    charts = np.zeros((2, baselines * runs, columns))
    level = threshold(nights, columns)
    survived = np.ones(baselines * runs, dtype=bool)
    for _ in range(nights):
        values = generator.standard_normal(seed_variance.shape) - np.sqrt(ratio) * seed_variance
        steps = np.stack([values, -values]) - REFERENCE_VALUE - stays * np.sqrt(ratio)
        charts = np.maximum(0, charts + steps)
        survived &= (charts < level).all(axis=(0, 2))
    share = survived.reshape(baselines, runs).mean(axis=1)
    # At the stated rate exp(-1) of the runs survive so long, or more as charts begin at zero.
    expected = np.exp(-1)
    return float((share < expected - 3 * np.sqrt(expected * (1 - expected) / runs)).mean())


@pytest.mark.parametrize("ratio", [0.2, 1.0])
def test_level_is_held_for_most_baselines(ratio: float) -> None:
    """False alarms are rare for 95% of baselines, and would not be without that allowance."""
    assert false_alarms(4, ratio, lasting_seed_variance(4), nights=60) < 0.05
    assert false_alarms(4, ratio, 0.0, nights=60) > 0.3


@given(st.integers(1, 400))
@settings(max_examples=20)
def test_seed_variance_grows_with_the_columns(columns: int) -> None:
    """So much seed variance either way is in none of the columns with 95% probability."""
    stays = lasting_seed_variance(columns)
    assert (1 - 2 * norm.sf(stays)) ** columns == pytest.approx(0.95)


def test_first_nights_are_the_reference() -> None:
    """Without a baseline the first ten nights are the reference, and those after are tested."""
    history = made_up_history(FIRST_NIGHTS + 12, drift=2.0, drift_from=FIRST_NIGHTS)
    assert find_drifts(history[:FIRST_NIGHTS]).columns == 0
    test = find_drifts(history[: FIRST_NIGHTS + 1])
    assert (test.columns, test.nights, test.with_baseline) == (2, 1, False)
    accuracy, loss = find_drifts(history).drifts
    first = history[:FIRST_NIGHTS]
    assert accuracy.reference_mean == pytest.approx(first["accuracy_mean"].mean())
    assert accuracy.since >= night(FIRST_NIGHTS)
    assert accuracy.worse
    assert loss.worse


def test_first_nights_of_the_same_seeds() -> None:
    """Seeds that are run every night are no more seeds for the reference: their variance is one."""
    # Three errors of a night, 3 sqrt(10) of ten nights' seeds: found only if they are fresh.
    later = at_accuracy(60, 3.0, first=FIRST_NIGHTS)
    history = pd.concat([at_accuracy(FIRST_NIGHTS, 0.0), later])
    assert len(find_drifts(history).drifts) == 1
    again = pd.concat([at_accuracy(FIRST_NIGHTS, 0.0, fresh=False), later])
    assert find_drifts(again).drifts == ()


def test_means_are_over_seeds() -> None:
    """A night of more seeds weighs more, in the reference and in the drift."""
    sizes = [25, 75] * (FIRST_NIGHTS // 2 + 5)
    history = pd.concat(
        of_seeds(number, np.full((2, size), float(size > 25 and -10)), start=1000 * number)
        if number < FIRST_NIGHTS
        else of_seeds(number, np.array([[-30.0], [0.0]]).repeat(size, 1), start=1000 * number)
        for number, size in enumerate(sizes)
    )
    drift, *_ = find_drifts(history).drifts
    assert drift.reference_mean == pytest.approx(ACCURACY - 0.75 * 10 * ACCURACY_SD)
    assert drift.mean == pytest.approx(ACCURACY - 30 * ACCURACY_SD)


def test_a_configuration_that_the_baseline_lacks() -> None:
    """It is held against its own first nights."""
    history = made_up_history(12, backends=("nn", "cell"))
    assert find_drifts(history, made_up_baseline(100)).columns == 4 + 1  # and the throughput
    assert find_drifts(history[:18], made_up_baseline(100)).columns == 2


def test_nights_before_the_baseline() -> None:
    """The baseline's own night and those before it are not held against it."""
    history = at_accuracy(30, -8.0)
    baseline = made_up_baseline(100).assign(night=night(20))
    test = find_drifts(history, baseline)
    assert test.nights == 9
    assert all(drift.since > night(20) for drift in test.drifts)
    assert find_drifts(history, baseline.assign(night=night(40))).columns == 0


@pytest.mark.parametrize("nights", [0, 1, 2])
@pytest.mark.parametrize("seeds", [0, 100])
def test_few_nights(nights: int, seeds: int) -> None:
    """No night, one or two: nothing is flagged, and without a baseline nothing is tested."""
    test = find_drifts(made_up_history(nights), made_up_baseline(seeds) if seeds else None)
    assert test.drifts == ()
    assert (test.columns, test.nights) == ((2, nights) if seeds and nights else (0, 0))


def test_nights_of_few_seeds() -> None:
    """Nights of one seed and of none are skipped; equal values are a night like others."""
    history = made_up_history(4)
    single = of_seeds(11, np.zeros((2, 1)), start=0)
    none = single.assign(night=night(10), seeds=0, final_values="")
    history = pd.concat([history, none, single, of_seeds(12, np.zeros((2, 9)), start=500)])
    test = find_drifts(history, made_up_baseline(100))
    assert (test.columns, test.nights) == (2, 5)
    assert find_drifts(single, made_up_baseline(100)) == DriftTest(
        (), 0, 0, pytest.approx(np.nan, nan_ok=True), 1095, with_baseline=True
    )


def test_order_does_not_matter() -> None:
    """The rows may come in any order."""
    history = made_up_history(30, backends=("nn", "cell"), drift=1.0, drift_from=10)
    shuffled = history.sample(frac=1, random_state=0)
    baseline = made_up_baseline(100, ("nn", "cell"))
    assert find_drifts(shuffled, baseline) == find_drifts(history, baseline)


def timed(slower_from: int, nights: int = 60, random: int = 0, faster: float = 0.9) -> pd.DataFrame:
    """Return nights in which ``cell`` becomes a tenth slower; every ten nights are of a commit."""
    history = made_up_history(nights, backends=("nn", "cell"), random=random)
    number = (history["night"] - FIRST).dt.days
    slow = (history["backend"] == "cell") & (number >= slower_from)
    history.loc[slow, "throughput_ratio"] *= faster
    return history.assign(commit=[f"{each // 10:x}" * 40 for each in number])


@pytest.mark.parametrize("random", range(6))
def test_slower_throughput_is_found(random: int) -> None:
    """A backend that becomes slower is found within 12 nights, with the night and the commits."""
    test = find_drifts(timed(40, random=random), made_up_baseline(100, ("nn", "cell")))
    (drift,) = test.drifts
    assert (drift.variant, drift.backend, drift.measure) == ("Model5", "cell", "throughput_ratio")
    assert drift.worse
    assert drift.standing
    assert drift.since == night(40)
    assert night(40) < drift.flagged[0] < night(52)
    assert (drift.commit_before, drift.commit) == ("3" * 40, "4" * 40)
    assert drift.reference_mean == pytest.approx(0.8, rel=0.01)
    assert drift.mean == pytest.approx(0.72, rel=0.01)


def test_faster_throughput_is_better() -> None:
    """The same the other way is for the better."""
    (drift,) = find_drifts(timed(40, faster=1.1), made_up_baseline(100, ("nn", "cell"))).drifts
    assert not drift.worse


def test_throughput_that_stays() -> None:
    """Without a change nothing is found, nor where the nights before are of another device."""
    assert find_drifts(timed(999, 200)).drifts == ()
    other = timed(40).assign(device_name="another processor")
    other.loc[other["night"] >= night(40), "device_name"] = "this one"
    test = find_drifts(other, made_up_baseline(100, ("nn", "cell")))
    assert (test.drifts, test.columns) == ((), 5)


def test_few_timed_nights() -> None:
    """Throughput needs more than the first nights; an untimed night is left out."""
    history = timed(0, FIRST_NIGHTS + 1)
    assert find_drifts(history, made_up_baseline(100)).columns == 5
    history.loc[history["night"] == night(3), "throughput_ratio"] = np.nan
    assert find_drifts(history, made_up_baseline(100)).columns == 4


def test_a_step_is_dated() -> None:
    """A step of two errors of a night's mean is dated within three nights, with the commits."""
    draws = np.random.default_rng(1).standard_normal((60, 2, 25))
    draws[30:] -= np.array([[2 / 5], [0]])
    rows = [summary(n, each, start=25 * n) | {"commit": f"{n:040}"} for n, each in enumerate(draws)]
    (drift,) = find_drifts(pd.DataFrame(rows, columns=SCHEMA.names), made_up_baseline(100)).drifts
    assert abs(drift.since - night(30)) <= pd.Timedelta(days=3)
    first = (drift.since - FIRST).days
    assert (drift.commit_before, drift.commit) == (f"{first - 1:040}", f"{first:040}")


def test_a_change_after_a_calm_time() -> None:
    """A step within the baseline's seed variance is found among the nights, and then stands."""
    draws = np.random.default_rng(7).standard_normal((150, 2, 100))
    draws[100:, 0] -= 1.5 / 10
    rows = [summary(n, each, start=100 * n) for n, each in enumerate(draws)]
    test = find_drifts(pd.DataFrame(rows, columns=SCHEMA.names), made_up_baseline(100))
    (drift,) = test.drifts
    assert drift.worse
    assert drift.standing
    assert abs(drift.since - night(100)) <= pd.Timedelta(days=5)


def test_a_drift_does_not_become_normal() -> None:
    """Nights after the alarm do not join the reference: a drift stands for as long as it lasts.

    Against this small baseline alone it would not be seen.
    """
    history = pd.concat([at_accuracy(60, 0.0), at_accuracy(300, -1.5, first=60)])
    (drift,) = find_drifts(history, made_up_baseline(25)).drifts
    assert drift.since == night(60)
    assert drift.standing
    assert len(drift.flagged) > 270


def test_slower_throughput_does_not_become_normal() -> None:
    """Nor does a backend that stays slower."""
    (drift,) = find_drifts(timed(40, 300), made_up_baseline(100, ("nn", "cell"))).drifts
    assert drift.standing
    assert len(drift.flagged) > 230
