"""One run held against the reference run of its seed, in units of what rounding does."""

from __future__ import annotations

import numpy as np
import pytest

from reports.statistics import distances, rounding_limits, times_beyond

REFERENCES = np.arange(6.0).reshape(2, 3)


def test_limits_are_of_the_furthest_pair() -> None:
    """Each point has a limit of its own, and no less than of one step of the values."""
    runs = REFERENCES + np.array([[0.125, 0, -0.25], [-0.25, 0, 0.125]])
    assert rounding_limits(runs, REFERENCES).tolist() == [0.75, 0, 0.75]
    limits = rounding_limits(runs, REFERENCES, margin=2, resolution=[0, 0.5, 1])
    assert limits.tolist() == [0.5, 1, 2]


def test_times_beyond() -> None:
    """Distances come in units of the limits, of one run or of several."""
    limits = [0.5, 0.0, 2.0]
    run = REFERENCES + np.array([[1, 0, 1], [0, 1e-9, 0]])
    assert times_beyond(run, REFERENCES, limits).tolist() == [[2, 0, 0.5], [0, np.inf, 0]]
    assert times_beyond(run[0], REFERENCES[0], limits).tolist() == [2, 0, 0.5]


def test_no_numbers() -> None:
    """Two runs that diverged alike are the same, one that diverged alone is infinitely far."""
    one, other = [np.nan, np.inf, np.nan, np.inf, 1.0], [np.nan, np.inf, 1.0, -np.inf, np.inf]
    assert distances(one, other).tolist() == [0, 0, np.inf, np.inf, np.inf]


def test_a_healthy_pair_is_rarely_further() -> None:
    """Without a margin, one more healthy pair is beyond n others at a point once in n + 1 times."""
    rng = np.random.default_rng(0)
    pairs = rng.standard_cauchy((2000, 10, 1))
    limits = [rounding_limits(own[:9], np.zeros((9, 1)), margin=1) for own in pairs]
    beyond = [
        times_beyond(own[9], [0], limit)[0] > 1 for own, limit in zip(pairs, limits, strict=True)
    ]
    assert np.mean(beyond) == pytest.approx(0.1, abs=0.02)


def test_bad_arrays() -> None:
    """What does not fit, and pairs that are not healthy, are refused."""
    with pytest.raises(ValueError, match=r"shape \(2, 3\) can't be held"):
        rounding_limits(REFERENCES, REFERENCES[:1])
    with pytest.raises(ValueError, match="one row each"):
        rounding_limits(REFERENCES[0], REFERENCES[0])
    with pytest.raises(ValueError, match="finite in one"):
        rounding_limits(REFERENCES + np.array([0, np.inf, 0]), REFERENCES)
    for wrong in ({"margin": 0.5}, {"resolution": -1}):
        with pytest.raises(ValueError, match="margin must be at least 1"):
            rounding_limits(REFERENCES, REFERENCES, **wrong)
    with pytest.raises(ValueError, match="limits do not fit"):
        times_beyond(REFERENCES, REFERENCES, [1, 2])
