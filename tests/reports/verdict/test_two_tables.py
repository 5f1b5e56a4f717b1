"""Two tables of runs held against each other: what is paired, tested and counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from reports.runs.last_values import Runs
from reports.statistics import max_t_test, smallest_visible_drop, smallest_visible_drop_of_pairs
from reports.verdict import two_tables
from reports.verdict.two_tables import Comparison, compare_tables

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(4, 20))


@pytest.fixture(autouse=True)
def _few_permutations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every test take milliseconds."""
    monkeypatch.setattr(two_tables, "PERMUTATIONS", 999)


def table(
    name: str, metrics: Mapping[str, Sequence[float]], keys: Sequence[object], model: str = ""
) -> Runs:
    """Return a table of one configuration."""
    rows = pd.DataFrame({"configuration": model, **metrics})
    rows["key"] = [(key,) for key in keys]
    return Runs(name, rows)


def both(*parts: Runs) -> Runs:
    """Return the tables of several configurations as one."""
    return Runs(parts[0].name, pd.concat([part.table for part in parts], ignore_index=True))


def p_values(comparison: Comparison) -> list[float]:
    """Return the adjusted p-values."""
    return [each.p for each in comparison.differences]


def test_pairs_and_independent_runs_are_max_t_tests() -> None:
    """The p-values are those of the public test of the same tables, in which larger is worse."""
    before = table("a", {"x": VALUES[0], "y": VALUES[1]}, range(20))
    after = table("b", {"x": VALUES[2], "y": VALUES[3]}, range(20))
    tables = VALUES[2:].T * [-1, 1], VALUES[:2].T * [-1, 1]
    for paired in (True, False):
        found = compare_tables(before, after, {"x": True, "y": False}, paired=paired)
        expected = max_t_test(*tables, paired=paired, permutations=999, two_sided=True)
        assert p_values(found) == pytest.approx(expected.p_values.tolist())
        assert [each.column.pairs for each in found.differences] == [20 * paired] * 2
        assert [each.worse for each in found.differences] == (expected.statistics > 0).tolist()


def test_configurations_of_one_key_are_permuted_together() -> None:
    """Two configurations with the same values are tested as one: nothing is adjusted."""
    keys, values = range(20), VALUES[0]
    alone = compare_tables(
        table("a", {"x": values}, keys), table("b", {"x": VALUES[1]}, keys), {"x": True}
    )
    twice = compare_tables(
        both(*(table("a", {"x": values}, keys, model) for model in "mn")),
        both(*(table("b", {"x": VALUES[1]}, keys, model) for model in "mn")),
        {"x": True},
    )
    assert p_values(twice) == [p_values(alone)[0]] * 2
    assert twice.differences[0].interval.low < alone.differences[0].interval.low


def test_runs_without_a_partner() -> None:
    """They are compared with those of the other side, whatever other configurations have."""
    before = both(
        table("a", {"x": VALUES[0]}, range(20), "m"), table("a", {"x": VALUES[0]}, range(20), "n")
    )
    after = both(
        table("b", {"x": VALUES[1]}, range(10, 30), "m"),
        table("b", {"x": VALUES[1]}, range(40, 60), "n"),
    )
    mixed, apart = compare_tables(before, after, {"x": True}).differences
    assert (mixed.column.pairs, mixed.column.alone) == (10, (10, 10))
    assert (apart.column.pairs, apart.column.alone) == (0, (20, 20))
    for each in (mixed, apart):
        means = VALUES[0].mean(), VALUES[1].mean()
        assert each.column.means == pytest.approx(means)
        assert each.interval.difference == pytest.approx(means[1] - means[0])
    parts = [
        smallest_visible_drop_of_pairs(
            VALUES[1][:10], VALUES[0][10:], level=0.05, columns=2, two_sided=True
        ),
        smallest_visible_drop(
            VALUES[0], night=10, baseline=10, level=0.05, columns=2, two_sided=True, confidence=0.5
        ),
    ]
    assert mixed.visible == pytest.approx(1 / math.hypot(*(1 / part for part in parts)), rel=0.05)
    assert mixed.visible < min(parts)


def test_what_has_nothing_to_be_compared_with_is_left_out() -> None:
    """Where one side has only pairs, the other's further runs have no part, and are named."""
    before = table("a", {"x": VALUES[0]}, range(20))
    after = table("b", {"x": VALUES[1][:15]}, range(15))
    found = compare_tables(before, after, {"x": True})
    (difference,) = found.differences
    assert difference.column.means[0] == pytest.approx(VALUES[0][:15].mean())
    assert found.notes == ("x: 5 runs before left out: the other table lacks their keys",)


def test_false_alarms() -> None:
    """Tables that do not differ are called worse or better in 5% of cases, half of them worse."""
    worse = better = 0
    for _ in range(300):
        common = RNG.normal(size=12)
        values = [common + RNG.normal(size=12) for _ in range(2)]
        found = compare_tables(
            table("a", {"x": values[0], "y": values[0] ** 2}, range(12)),
            table("b", {"x": values[1], "y": values[1] ** 2}, range(3, 15)),
            {"x": True, "y": False},
        )
        verdicts = {each.verdict for each in found.differences}
        worse += "worse" in verdicts
        better += "better" in verdicts
        assert found.exit_code == ("worse" in verdicts)
    assert worse + better <= 30
    assert min(worse, better) > 0


def test_a_run_that_diverged_is_the_worst_whichever_way_is_better() -> None:
    """Infinity of either sign is no good value."""
    for sign in (1, -1):
        lost = np.where(np.arange(20) < 12, sign * np.inf, VALUES[0])
        for larger_is_better in (True, False):
            found = compare_tables(
                table("a", {"x": VALUES[0]}, range(20)),
                table("b", {"x": lost}, range(20)),
                {"x": larger_is_better},
                paired=False,
                missing="worst",
            )
            (difference,) = found.differences
            assert difference.column.diverged == (0, 12)
            assert math.isnan(difference.interval.low)
            assert (difference.verdict, found.exit_code) == ("worse", 1)


def test_no_run_has_a_value() -> None:
    """A metric that one side has nowhere decides nothing."""
    nothing = [math.nan] * 20
    found = compare_tables(
        table("a", {"x": nothing}, range(20)), table("b", {"x": VALUES[1]}, range(20)), {"x": True}
    )
    (difference,) = found.differences
    assert (found.verdict, found.exit_code) == ("inconclusive", 4)
    assert math.isnan(difference.visible)
    assert math.isnan(difference.interval.difference)
