"""AdamW's factors and the one-cycle schedule."""

from __future__ import annotations

import pytest

from hnrnn.optimizer import one_cycle, schedules
from hnrnn.variants import VARIANTS


def test_one_cycle() -> None:
    """The schedule's ends, peak and a point between are where fastai v1's arithmetic puts them."""
    value = one_cycle(400, 0.3, 1.0, 25.0, 0.0001)
    assert value(0) == pytest.approx(1.0)
    assert value(60) == pytest.approx(13.0)
    assert value(120) == pytest.approx(25.0)
    assert value(260) == pytest.approx((25 + 0.0001) / 2)
    assert value(400) == pytest.approx(0.0001)
    # 9 * 0.3 is 2.7: the rise takes two whole steps, neither 2.7 nor three.
    assert one_cycle(9, 0.3, 0.0, 1.0, 0.0)(2) == pytest.approx(1.0)


def test_one_cycle_without_a_rise() -> None:
    """Where the rise is shorter than a step, the schedule starts at its peak."""
    assert one_cycle(3, 0.1, 0.0, 1.0, 0.0)(0) == pytest.approx(1.0)


def test_schedules_of_a_recipe() -> None:
    """The rate goes from a 25th of its peak to almost 0; the momentum falls, then rises."""
    rate, momentum = schedules(VARIANTS["Model3"], 40).values()
    assert [rate(0), rate(240), rate(800)] == pytest.approx([3e-3 / 25, 3e-3, 3e-3 / 25e4])
    assert [momentum(0), momentum(240), momentum(800)] == pytest.approx([0.95, 0.85, 0.95])
