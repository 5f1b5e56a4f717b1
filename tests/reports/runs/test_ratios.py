"""Ratios of throughput."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.runs.ratios import (
    calibration_ratios,
    latest,
    median_error,
    median_ratio,
    ratios,
    versions,
)
from tests.made_up import throughput_rows

SECONDS = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=12)


def test_median_ratio_by_hand() -> None:
    """Of the quotients 2, 1 and 3 the median is 2, between the smallest and the largest."""
    middle, low, high = median_ratio(np.array([2.0, 1.0, 3.0]))
    assert middle == 2
    assert (low, high) == (1, 3)


def test_a_single_round_has_no_interval() -> None:
    """One round gives a ratio and no interval."""
    middle, low, high = median_ratio(np.array([1.5]))
    assert middle == 1.5
    assert np.isnan([low, high]).all()


@given(SECONDS)
def test_same_times(seconds: list[float]) -> None:
    """The ratio of a backend to itself is 1, whatever the times."""
    times = np.array(seconds)
    assert median_ratio(times / times) == (1, 1, 1)


@given(SECONDS, st.floats(0.1, 10))
def test_slow_rounds_cancel(seconds: list[float], factor: float) -> None:
    """A round that is slow for both changes nothing, because ratios are taken within a round."""
    times = np.array(seconds)
    assert median_ratio(times / (times / factor)) == pytest.approx([factor] * 3)


def test_interval_covers() -> None:
    """Without a difference, about 95% of 200 intervals contain 1."""
    generator = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        times = 1 + 0.05 * generator.standard_normal((2, 25))
        _, low, high = median_ratio(times[0] / times[1])
        covered += low <= 1 <= high
    assert 180 <= covered <= 199


def test_ratios() -> None:
    """Each configuration and phase has a ratio, as has the A/A control; skipped ones have none."""
    rows = throughput_rows({"nn": 2.0, "custom": 4.0, "compiled": 1.0})
    found = {(r.backend, r.aa_control, r.phase): r for r in ratios(rows)}
    assert found["custom", False, "train_step"].ratio == pytest.approx(0.5)
    assert found["compiled", False, "forward"].ratio == pytest.approx(2.0)
    assert found["nn", True, "train_step"].ratio == pytest.approx(1.0)
    # Rounds of 1 to 5 times the step: the median is 3 times.
    assert found["nn", False, "train_step"].milliseconds_per_step == pytest.approx(6.0)
    assert found["nn", False, "train_step"].tokens_per_second == pytest.approx(1280 / 6e-3)
    assert not any(backend == "graphed" for backend, _, _ in found)


def test_without_the_reference() -> None:
    """A measurement without its reference has times but no ratios."""
    rows = throughput_rows({"nn": 2.0, "custom": 4.0})
    found = ratios(rows[rows["backend"] != "nn"])
    assert {r.backend for r in found} == {"custom"}
    assert all(np.isnan(r.ratio) for r in found)


def test_the_reference_beside_the_calibration_workload() -> None:
    """Its speed is in steps of the workload, which is no backend of its own."""
    rows = throughput_rows({"nn": 2.0, "custom": 4.0, "calibration": 3.0})
    assert {r.backend for r in ratios(rows)} == {"nn", "custom"}
    found = calibration_ratios(rows)
    assert [(r.backend, r.aa_control) for r in found] == [("nn", False)] * 3
    assert [r.ratio for r in found] == pytest.approx([1.5] * 3)
    assert versions(rows) == ["calibration workload 1"]
    older = throughput_rows({"nn": 2.0, "custom": 4.0})
    assert calibration_ratios(older) == []
    assert versions(older) == []


def test_error_of_a_median() -> None:
    """It is the standard deviation of medians of many resamples, and that of the normal's."""
    generator = np.random.default_rng(3)
    values = generator.standard_normal(9)
    resampled = np.median(generator.choice(values, (20_000, 9)), axis=1)
    assert median_error(values) == pytest.approx(resampled.std(), rel=0.02)
    many = np.array([median_error(generator.standard_normal(101)) for _ in range(200)])
    assert np.sqrt(np.mean(many**2)) == pytest.approx(1.2533 / np.sqrt(101), rel=0.1)
    assert median_error(np.ones(5)) == 0
    assert np.isnan(median_error(np.ones(1)))


def test_latest() -> None:
    """Of two measurements of a variant on one device, the later counts; devices stay apart."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    old = throughput_rows({"nn": 1.0}, measurement_id="old", started_at=start)
    new = throughput_rows({"nn": 2.0}, measurement_id="new", started_at=start + timedelta(days=1))
    other = throughput_rows(
        {"nn": 3.0}, measurement_id="gpu", started_at=start, device_name="a GPU"
    )
    chosen = latest(pd.concat([new, other, old], ignore_index=True))
    assert set(chosen["measurement_id"]) == {"new", "gpu"}
    assert latest(old.iloc[:0]).empty
