"""What ``reports.statistics`` promises to outsiders: any array, documented."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest

import reports.statistics
from tests.places import ROOT

PUBLIC = [getattr(reports.statistics, name) for name in reports.statistics.__all__]
FUNCTIONS = [each for each in PUBLIC if inspect.isfunction(each)]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.__name__)
def test_documented(function: object) -> None:
    """Every function is in the reference; its errors, if it has any, are in its docstring."""
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    assert f".. autofunction:: {function.__name__}\n" in page  # type: ignore[attr-defined]
    text = inspect.getdoc(function) or ""
    body = inspect.getsource(function).replace(text, "")  # type: ignore[arg-type]
    if "raise ValueError" in body or "check_level(" in body:
        assert "Raises ValueError" in text
    arrays = [p for p in inspect.signature(function).parameters.values() if "Array" in str(p)]  # type: ignore[arg-type]
    assert not arrays or "shape" in text or "column" in text


TABLE = np.array([[1, 5], [2, 4], [3, 6], [7, 9], [8, 1], [9, 2]])


@pytest.mark.parametrize(
    "kind",
    [
        np.ndarray.tolist,
        lambda table: table.astype(np.float32),
        lambda table: table.astype(np.int8),
        np.asfortranarray,
        pd.DataFrame,
        lambda table: pd.DataFrame(table, index=list("fedcba")).astype("Float64"),
    ],
    ids=["lists", "float32", "int8", "columns first", "frame", "nullable frame"],
)
def test_any_array(kind) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Lists, other dtypes and pandas give what an array of float64 gives, and stay as they are."""
    from reports import statistics as s

    plain, other = TABLE.astype(float), kind(TABLE)
    before = repr(other)
    for function in (
        lambda t: s.max_t_test(t, plain, permutations=99, paired=True).p_values.tolist(),
        lambda t: s.max_t_test(plain + 1, t, permutations=99).p_values.tolist(),
        lambda t: s.extreme_rank_lengths(t).tolist(),
        lambda t: s.area_measures(t).tolist(),
        lambda t: s.envelope_p_value([4, 4], t),
        lambda t: s.p_values_of_each(t, plain).tolist(),
        lambda t: s.global_envelope(t, 0.5)[0].tolist(),
        lambda t: s.rounding_limits(t, plain + 0.5).tolist(),
        lambda t: s.times_beyond(t, plain + 0.5, [0.25, 1]).tolist(),
    ):
        assert function(other) == function(plain)
    assert repr(other) == before


def test_any_column() -> None:
    """A list, integers and a pandas column with a gap are one column of values each."""
    from reports import statistics as s

    values = [1, 2, 3, 7, 8, 9]
    gap = pd.Series([*values, None], index=list("gfedcba"), dtype="Float64")
    for column in (values, np.array(values, dtype=np.int8), gap):
        assert s.seeds_for_drop(column, 1, level=0.05) == s.seeds_for_drop(
            np.array(values, dtype=float), 1, level=0.05
        )
        assert s.difference_interval(column, [1, 2]).difference == 3.5
    assert s.rank_p_value(np.float32(8), values) == s.rank_p_value(8.0, np.array(values))
    assert s.holm(pd.Series([0.25, 0.5])).tolist() == [0.5, 0.5]
