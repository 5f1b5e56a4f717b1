"""Throughput against a baseline."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from reports.verdict.throughput import changes, not_measured
from tests.made_up import throughput_rows

STEPS = {"nn": 2.0, "custom": 4.0, "compiled": 1.0}


def noisy(milliseconds: dict[str, float], seed: int, rounds: int = 20) -> pd.DataFrame:
    """Return a measurement whose samples vary by 3%."""
    rows = throughput_rows(milliseconds, rounds=rounds, measurement_id=f"m{seed}")
    noise = np.random.default_rng(seed).normal(1, 0.03, len(rows))
    return rows.assign(wall_seconds=rows["wall_seconds"] * noise)


def test_the_same_speed() -> None:
    """Without a change nothing is slower or faster, and the reference is not judged."""
    found = changes(noisy(STEPS, 1), noisy(STEPS, 2))
    assert {(c.backend, c.phase) for c in found} == {
        (backend, phase)
        for backend in ("custom", "compiled")
        for phase in ("train_step", "forward", "validation")
    }
    assert not any(c.slower or c.faster for c in found)
    assert all(c.low < 1 < c.high for c in found)


@pytest.mark.parametrize(("factor", "slower", "faster"), [(1.25, True, False), (0.75, False, True)])
def test_a_change(factor: float, slower: bool, faster: bool) -> None:  # noqa: FBT001  # parameters
    """Only the backend that takes a quarter more or less time is found."""
    found = changes(noisy({**STEPS, "custom": 4.0 * factor}, 1), noisy(STEPS, 2))
    for c in found:
        assert (c.slower, c.faster) == ((slower, faster) if c.backend == "custom" else (False,) * 2)
    custom = next(c for c in found if c.backend == "custom")
    assert custom.change == pytest.approx(1 / factor, rel=0.03)
    assert custom.low < custom.change < custom.high
    assert custom.baseline_ratio == pytest.approx(0.5, rel=0.03)


def test_small_changes_are_not_judged() -> None:
    """Five percent slower is below the smallest effect that is judged, however certain."""
    found = changes(noisy({**STEPS, "custom": 4.2}, 1, 200), noisy(STEPS, 2, 200))
    custom = next(c for c in found if c.backend == "custom")
    assert custom.high < 1
    assert not custom.slower


def test_a_slow_machine_is_no_change() -> None:
    """If everything is twice as slow, no ratio changes."""
    slow = {backend: 2 * step for backend, step in STEPS.items()}
    assert not any(c.slower for c in changes(noisy(slow, 1), noisy(STEPS, 2)))


def test_one_round_decides_nothing() -> None:
    """A single round has no interval, so it decides nothing."""
    slow = throughput_rows({"nn": 2.0, "custom": 9.0}, rounds=1)
    found = changes(slow, noisy(STEPS, 2))
    assert found
    assert not any(c.slower for c in found)


def test_other_devices_are_not_compared() -> None:
    """A ratio is only compared with ratios from the same kind of device."""
    gpu = throughput_rows(STEPS, device="cuda", device_name="a GPU")
    assert changes(gpu, noisy(STEPS, 1)) == []
    assert changes(gpu.iloc[:0], noisy(STEPS, 1)) == []
    assert not_measured(gpu, noisy(STEPS, 1)) == {}
    assert not_measured(gpu.iloc[:0], noisy(STEPS, 1)) == {}


def test_not_measured() -> None:
    """What the baseline measured and the night did not is named."""
    fewer = {"nn": 2.0, "custom": 4.0}
    assert not_measured(noisy(fewer, 1), noisy(STEPS, 2)) == {
        ("Model4", "compiled"): ["train_step", "forward", "validation"]
    }
