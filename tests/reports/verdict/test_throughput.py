"""Throughput against a baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.verdict.throughput import Change, changes, why_not_absolute
from tests.made_up import throughput_rows

STEPS = {"nn": 2.0, "custom": 4.0, "compiled": 1.0}
CALIBRATED = {**STEPS, "calibration": 3.0}


def noisy(
    milliseconds: dict[str, float], seed: int, rounds: int = 20, **options: Any
) -> pd.DataFrame:
    """Return a measurement whose samples vary by 3%."""
    rows = throughput_rows(milliseconds, rounds=rounds, measurement_id=f"m{seed}", **options)
    noise = np.random.default_rng(seed).normal(1, 0.03, len(rows))
    return rows.assign(wall_seconds=rows["wall_seconds"] * noise)


def slower(found: list[Change]) -> set[tuple[str, str, bool]]:
    """Return the variant and backend of what is slower, and whether by the workload."""
    return {(c.variant, c.backend, c.absolute) for c in found if c.slower}


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
    """Five percent slower is within what measurements vary, however many rounds they have."""
    found = changes(noisy({**STEPS, "custom": 4.2}, 1, 200), noisy(STEPS, 2, 200))
    custom = next(c for c in found if c.backend == "custom")
    assert custom.change == pytest.approx(1 / 1.05, rel=0.02)
    assert not custom.slower
    assert 0.85 < custom.visible < 0.93


def test_a_slow_machine_is_no_change() -> None:
    """If everything is twice as slow, and the calibration workload too, no ratio changes."""
    slow = {backend: 2 * step for backend, step in CALIBRATED.items()}
    assert not any(c.slower for c in changes(noisy(slow, 1), noisy(CALIBRATED, 2)))


@pytest.mark.parametrize("changed", [["nn"], ["nn", "custom", "compiled"]])
def test_a_slow_reference(changed: list[str]) -> None:
    """Alone or with everything else, it is found by the calibration workload, and only by it."""
    slow = CALIBRATED | {name: 1.25 * STEPS[name] for name in changed}
    found = changes(noisy(slow, 1), noisy(CALIBRATED, 2))
    assert slower(found) == {("Model4", "nn", True)}
    one = next(c for c in found if c.slower)
    assert one.change == pytest.approx(0.8, rel=0.03)
    assert one.ratio == pytest.approx(3 / 2.5, rel=0.03)
    assert one.sentence().startswith(f"Model4 nn: {one.phase} at {one.change:.2f} of the baseline")
    assert one.sentence().endswith("), relative to the calibration workload")


def test_a_slow_down_of_everything_shows_in_the_mean() -> None:
    """What no single reference shows, their mean over the models does."""
    variants = ("Model4", "Model5", "Model6", "Model7")

    def measured(factor: float, seed: int) -> pd.DataFrame:
        steps = {"nn": factor * 2.0, "calibration": 3.0}
        each = [noisy(steps, seed + n, 9, variant=v) for n, v in enumerate(variants)]
        rows = pd.concat(each, ignore_index=True).assign(measurement_id=f"m{seed}")
        noise = np.random.default_rng(seed).normal(1, 0.06, len(rows))
        return rows.assign(wall_seconds=rows["wall_seconds"] * noise)

    assert not slower(changes(measured(1.0, 10), measured(1.0, 20)))
    found = changes(measured(1.14, 10), measured(1.0, 20))
    assert slower(found) == {("all models", "reference", True)}
    one = next(c for c in found if c.slower)
    assert one.sentence().startswith(f"all models reference: {one.phase} at 0.8")


def test_a_measurement_with_restless_controls_decides_less() -> None:
    """A ratio's interval is at least as wide as the A/A controls are apart."""
    quiet, restless = noisy(CALIBRATED, 1), noisy(CALIBRATED, 1)
    again = restless["aa_control"]
    restless.loc[again, "wall_seconds"] *= 1.2
    before = noisy(STEPS, 2)
    (one, *_), (other, *_) = changes(quiet, before), changes(restless, before)
    assert np.log(other.high / other.low) > 3 * np.log(one.high / one.low)


def test_cpu_time_is_held_beside_the_clock() -> None:
    """A step that waits is slower by the clock alone; one that computes more is by both."""
    before = noisy(CALIBRATED, 2)
    before["device_seconds"] = before["wall_seconds"]
    tonight = noisy(CALIBRATED, 1)
    tonight["device_seconds"] = tonight["wall_seconds"]
    custom = tonight["backend"] == "custom"
    waiting = tonight.assign(wall_seconds=tonight["wall_seconds"] * np.where(custom, 1.3, 1))
    assert {c.clock for c in changes(waiting, before) if c.slower} == {"wall_seconds"}
    busy = waiting.assign(device_seconds=tonight["device_seconds"] * np.where(custom, 1.3, 1))
    found = [c for c in changes(busy, before) if c.slower]
    assert {c.clock for c in found} == {"wall_seconds", "device_seconds"}
    assert found[-1].held_to == "the reference, by CPU time"
    older = before.assign(device_seconds=np.nan)
    assert {c.clock for c in changes(tonight, older)} == {"wall_seconds"}


def test_other_versions_of_the_workload_are_not_compared() -> None:
    """Nor is anything without a workload; the reason names the versions."""
    ours, other = noisy(CALIBRATED, 1), noisy(CALIBRATED, 2, version="calibration workload 2")
    assert why_not_absolute(ours, noisy(CALIBRATED, 3)) == ""
    assert why_not_absolute(ours, other) == (
        "tonight has calibration workload 1, the baseline has calibration workload 2"
    )
    assert why_not_absolute(ours, noisy(STEPS, 2)) == (
        "tonight has calibration workload 1, the baseline has no calibration workload"
    )
    for before in (other, noisy(STEPS, 2)):
        found = changes(ours, before)
        assert found
        assert not any(c.absolute for c in found)


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
