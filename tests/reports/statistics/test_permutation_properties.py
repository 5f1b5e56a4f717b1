"""What holds of max-T permutation tests whatever the values, and on null nights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.statistics.permutation import max_t_test
from tests.reports.statistics.test_permutation import INF, NAN, Array, quick


@st.composite
def grids(draw: st.DrawFn) -> tuple[Array, Array]:
    """Return a night and a baseline of a few rows: ties, diverged and missing runs among them."""
    n, m, k = draw(st.integers(0, 6)), draw(st.integers(0, 6)), draw(st.integers(0, 3))
    generator = np.random.default_rng(draw(st.integers(0, 10**6)))
    values = generator.integers(0, draw(st.integers(1, 6)), (n + m, k)).astype(float)
    values[generator.random((n + m, k)) < draw(st.sampled_from([0, 0.2]))] = INF
    values[generator.random((n + m, k)) < draw(st.sampled_from([0, 0.2]))] = NAN
    return values[:n], values[n:]


@given(grids(), st.booleans(), st.integers(0, 10**6))
def test_properties(grid: tuple[Array, Array], paired: bool, seed: int) -> None:  # noqa: FBT001
    """Results are p-values, repeatable, and know no order of the seeds, no unit and no sign."""
    night, baseline = grid
    if paired:
        night, baseline = night[: len(baseline)], baseline[: len(night)]
    result = quick(night, baseline, paired=paired)
    assert ((result.p_values > 0) & (result.p_values <= 1)).all()
    assert 0 < result.p_value <= 1
    assert (result.statistics[[note != "" for note in result.notes]] == 0).all()
    again = quick(night, baseline, paired=paired)
    assert (again.p_values == result.p_values).all()

    generator = np.random.default_rng(seed)
    rows, other_rows = generator.permutation(len(night)), generator.permutation(len(baseline))
    relabelled = quick(night[rows], baseline[rows if paired else other_rows], paired=paired)
    assert relabelled.statistics == pytest.approx(result.statistics)
    other_unit = quick(np.exp(night), np.exp(baseline), paired=paired)
    assert (other_unit.p_values == result.p_values).all()
    negated = quick(-night, -baseline, paired=paired)
    assert negated.statistics == pytest.approx(-result.statistics)


@given(grids(), st.floats(0, 9))
def test_monotone(grid: tuple[Array, Array], shift: float) -> None:
    """A night that is worse by a shift in its one column never looks better."""
    night, baseline = (table[:, :1] for table in grid)
    before, after = quick(night, baseline), quick(night + shift, baseline)
    assert (after.statistics >= before.statistics - 1e-9).all()
    pairs = min(len(night), len(baseline))
    night, baseline = night[:pairs], baseline[:pairs]
    before, after = (quick(night + s, baseline, paired=True) for s in (0, shift))
    assert after.p_value <= before.p_value


def null_p_values(
    *, paired: bool = False, partly: bool = False, missing: bool = False, two_sided: bool = False
) -> Array:
    """Return the overall p-values of 400 nights like their baseline, columns of a row alike."""
    generator = np.random.default_rng(0)
    ps = []
    for _ in range(400):
        pooled = generator.standard_normal((24, 4)) + generator.standard_normal((24, 1))
        night, baseline = np.round(pooled[:8]), np.round(pooled[8:])
        if paired:
            baseline = np.round(0.5 * pooled[:8] + 0.5 * pooled[8:16])
            night = np.round(0.5 * pooled[:8] + 0.5 * pooled[16:])
        if partly:
            others, absent = np.round(generator.standard_normal((14, 4))), np.full((9, 4), NAN)
            night = np.vstack([night, others[:5], absent])
            baseline = np.vstack([baseline, absent[:5], others[5:]])
        if missing:
            night[3:, 1] = night[6:, 2] = baseline[4:, 3] = NAN
        result = max_t_test(night, baseline, permutations=99, paired=paired, two_sided=two_sided)
        ps.append(result.p_value)
    return np.array(ps)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"paired": True},
        {"missing": True},
        {"paired": True, "partly": True, "two_sided": True},
    ],
    ids=["rows", "paired", "missing", "partly"],
)
def test_null_nights(options: dict[str, bool]) -> None:
    """The overall p-value is uniform on null nights, with ties and dependent columns."""
    ps = null_p_values(**options)
    for level in (0.05, 0.1, 0.3, 0.6):
        share = np.mean(ps <= level)
        assert share == pytest.approx(level, abs=3.3 * np.sqrt(level * (1 - level) / len(ps)))
