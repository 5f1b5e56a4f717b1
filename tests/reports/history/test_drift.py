"""Slow drift over nights: what is found, and how seldom where nothing has changed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from reports.history.drift import FIRST_NIGHTS, Drift, DriftTest, find_drifts, lasting_seed_variance
from reports.statistics.cusum import REFERENCE_VALUE, threshold
from tests.history_data import (
    ACCURACY,
    ACCURACY_SD,
    FIRST,
    made_up_baseline,
    made_up_history,
)

CHANGED = 20
"""The night from which on a injected drift moves the means."""


def night(number: int) -> pd.Timestamp:
    """Return a made-up night's start."""
    return FIRST + pd.Timedelta(days=number)


def at_accuracy(nights: int, standard_errors: float, *, fresh: bool = True) -> pd.DataFrame:
    """Return nights that all have the same mean accuracy, so far above, and the same loss."""
    history = made_up_history(nights, fresh=fresh)
    moved = standard_errors * ACCURACY_SD / np.sqrt(history["seeds"])
    return history.assign(
        accuracy_mean=ACCURACY + moved, accuracy_sd=ACCURACY_SD, valid_loss_mean=1.0
    )


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
        assert abs(drift.standard_errors) > 4


def test_by_hand() -> None:
    """Steady nights four standard errors up, against an endless baseline: h / (z - 1/2) nights."""
    history = at_accuracy(12, 4.0)
    baseline = made_up_baseline(10**12)
    test = find_drifts(history, baseline)
    assert (test.columns, test.nights, test.with_baseline) == (2, 12, True)
    assert test.threshold == threshold(1095, 2)
    (drift,) = test.drifts
    # t = 4 of 24 degrees has the tail of a normal 3.47.
    needed = int(np.ceil(test.threshold / (3.4667 - REFERENCE_VALUE - 2.2366 * 5e-6)))
    assert drift == Drift(
        variant="Model5",
        backend="nn",
        measure="accuracy",
        since=night(0),
        flagged=tuple(night(number) for number in range(needed - 1, 12)),
        standing=True,
        mean=pytest.approx(ACCURACY + 4 * ACCURACY_SD / 5),
        reference_mean=ACCURACY,
        standard_errors=pytest.approx(3.4667, abs=1e-3),
    )
    assert not drift.worse


def test_a_drift_that_has_gone() -> None:
    """A drift that went back is told as one that is no longer flagged."""
    history = pd.concat([at_accuracy(10, -6.0), at_accuracy(60, 0.0).iloc[10:]])
    (drift,) = find_drifts(history, made_up_baseline(10**6)).drifts
    assert drift.worse
    assert not drift.standing
    assert drift.since == night(0)
    assert drift.flagged[0] < night(5)
    assert night(10) <= drift.flagged[-1] <= night(15)
    assert drift.standard_errors < -2


def test_seed_variance_of_the_baseline() -> None:
    """A baseline that is lucky by two of its standard errors makes no drift, however long."""
    history = at_accuracy(400, 0.0)
    assert find_drifts(history, made_up_baseline(25, seed_variance=2.0)).drifts == ()
    # The same distance in accuracy, from a baseline of seeds without end, is one.
    far = made_up_baseline(10**8, seed_variance=2.0 * np.sqrt(10**8 / 25))
    assert [drift.measure for drift in find_drifts(history, far).drifts] == ["accuracy"]


def test_seed_variance_of_seeds_that_are_run_again() -> None:
    """Seeds that are lucky, and are run every night again, make no drift; fresh ones do."""
    baseline = made_up_baseline(10**6)
    assert find_drifts(at_accuracy(400, 2.5, fresh=False), baseline).drifts == ()
    assert len(find_drifts(at_accuracy(400, 2.5, fresh=True), baseline).drifts) == 1
    # What is beyond all seed variance is found with the same seeds too.
    assert len(find_drifts(at_accuracy(20, -8.0, fresh=False), baseline).drifts) == 1


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


def test_null_histories() -> None:
    """Ninety nights without a change are flagged no more often than is stated."""
    flagged = 0
    for random in range(60):
        history = made_up_history(90, random=random)
        test = find_drifts(history, made_up_baseline(10**9), false_alarm_nights=360)
        flagged += bool(test.drifts)
    # A quarter of a run length: 13 of 60 are expected, and 3.2 is their deviation.
    assert 2 <= flagged <= 13 + 3 * 3.2


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
    first = at_accuracy(FIRST_NIGHTS, 0.0)
    later = at_accuracy(FIRST_NIGHTS + 60, 3.0).iloc[FIRST_NIGHTS:]
    history = pd.concat([first, later])
    assert len(find_drifts(history).drifts) == 1
    again = history.assign(seed_ranges=["0-24"] * FIRST_NIGHTS + list(later["seed_ranges"]))
    assert find_drifts(again).drifts == ()


def test_means_are_over_seeds() -> None:
    """A night of more seeds weighs more, in the reference and in the drift."""
    history = at_accuracy(FIRST_NIGHTS + 10, 0.0).assign(seeds=[25, 75] * (FIRST_NIGHTS // 2 + 5))
    history.loc[1 : FIRST_NIGHTS - 1 : 2, "accuracy_mean"] = 0.84
    history.loc[FIRST_NIGHTS::2, "accuracy_mean"] = 0.6
    history.loc[FIRST_NIGHTS + 1 :: 2, "accuracy_mean"] = 0.64
    (drift,) = find_drifts(history).drifts
    assert drift.reference_mean == pytest.approx(0.25 * 0.8 + 0.75 * 0.84)
    assert drift.mean == pytest.approx(0.25 * 0.6 + 0.75 * 0.64)


def test_a_configuration_that_the_baseline_lacks() -> None:
    """It is held against its own first nights."""
    history = made_up_history(12, backends=("nn", "cell"))
    assert find_drifts(history, made_up_baseline(100)).columns == 4
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


def test_nights_without_a_deviation() -> None:
    """Nights of one seed, of none, and of equal values are skipped."""
    history = made_up_history(6)
    history.loc[0, ["accuracy_sd", "valid_loss_sd", "seeds"]] = [np.nan, np.nan, 1]
    history.loc[1, ["accuracy_sd", "valid_loss_sd", "accuracy_mean", "seeds"]] = [
        np.nan, np.nan, np.nan, 0,
    ]  # fmt: skip
    history.loc[2, "accuracy_sd"] = 0.0
    test = find_drifts(history, made_up_baseline(100))
    assert (test.columns, test.nights) == (2, 4)
    assert find_drifts(history[:2], made_up_baseline(100)) == DriftTest(
        (), 0, 0, pytest.approx(np.nan, nan_ok=True), 1095, with_baseline=True
    )


def test_order_does_not_matter() -> None:
    """The rows may come in any order."""
    history = made_up_history(30, backends=("nn", "cell"), drift=1.0, drift_from=10)
    shuffled = history.sample(frac=1, random_state=0)
    baseline = made_up_baseline(100, ("nn", "cell"))
    assert find_drifts(shuffled, baseline) == find_drifts(history, baseline)
