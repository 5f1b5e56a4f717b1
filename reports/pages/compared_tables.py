"""What ``reports compare`` found, as a table, sentences and JSON."""

from __future__ import annotations

import json
import math

from bench.text import counted
from reports.pages.tables import NO_VALUE, escape, paragraphs, table_of
from reports.statistics.power import POWER
from reports.verdict.decision import INCOMPLETE
from reports.verdict.notebook import INCONCLUSIVE
from reports.verdict.two_tables import PERMUTATIONS, WORSE, Column, Comparison, Difference

PICTURE = "compare.png"
NAMED_AT_MOST = 3
"""Columns of which the sentence of the verdict says what would have been seen; more are in the
table."""


def as_table(comparison: Comparison) -> str:
    """Return one row per configuration and metric."""
    several = len({each.column.configuration for each in comparison.differences}) > 1
    named = several or any(each.column.configuration for each in comparison.differences)
    columns = [
        ("configuration", lambda each: each.column.configuration),
        ("metric", lambda each: each.column.metric),
        ("better", lambda each: "higher" if each.column.larger_is_better else "lower"),
        ("runs before", lambda each: _count(each.column, 0)),
        ("runs after", lambda each: _count(each.column, 1)),
        ("pairs", lambda each: str(each.column.pairs)),
        ("mean before", lambda each: _number(each.column.means[0], _digits(each))),
        ("mean after", lambda each: _number(each.column.means[1], _digits(each))),
        ("difference", lambda each: _signed(each.interval.difference, _digits(each))),
        (f"{_percent(1 - comparison.level)} interval", _interval),
        ("p", lambda each: each.p_in_words),
        ("would have seen", lambda each: _number(each.visible, _digits(each))),
        ("verdict", lambda each: each.verdict or "not worse"),
    ]
    text = ("configuration", "metric", "better", "verdict")
    return table_of(comparison.differences, columns if named else columns[1:], text)


def sentence(comparison: Comparison) -> str:
    """Return the verdict and why, in one sentence."""
    found = comparison.differences
    if comparison.verdict == WORSE:
        worse = "; ".join(_difference(each) for each in found if each.verdict == WORSE)
        return f"worse: {worse}"
    better = "; ".join(_difference(each) for each in found if each.verdict == "better")
    also = f"; {better}" if better else ""
    if comparison.verdict == INCOMPLETE:
        missing = "; ".join(comparison.missing) or "the tables have no configuration in common"
        return (
            f"incomplete: {missing}; --missing worst counts a run without a value as the worst, "
            f"--missing left-out judges without it{also}"
        )
    if comparison.verdict == INCONCLUSIVE:
        few = ", ".join(each.column.name for each in found if each.verdict == INCONCLUSIVE)
        return (
            f"inconclusive: the runs are too few to reject anything at the level of "
            f"{_percent(comparison.level)}, whatever their values ({few}){also}"
        )
    alike = [each for each in found if not each.verdict]
    if not alike:
        return f"not worse: {better}"
    seen = [
        f"{each.column.name} {'lower' if each.column.larger_is_better else 'higher'} by "
        f"{_number(each.visible, _digits(each))}"
        for each in alike
    ]
    sizes = " and ".join(filter(None, [", ".join(seen[:-1]), seen[-1]]))
    if len(alike) > NAMED_AT_MOST:
        sizes = "a change of the size under *would have seen*"
    return (
        f"not worse: nothing is seen to be worse; {sizes} would have been seen with a probability "
        f"of {_percent(POWER)}, smaller changes may be there{also}"
    )


def how(comparison: Comparison) -> str:
    """Say what was tested and how, in one paragraph."""
    count = len(comparison.differences)
    confidence = _percent(1 - comparison.level)
    together = f" all {count} hold together with {confidence} (Bonferroni)," if count > 1 else ""
    return (
        f"p: two-sided max-T permutation test of ranks over {counted(count, 'column')} "
        f"({PERMUTATIONS:,} permutations, seed 0), adjusted for their number. Interval: of the "
        f"difference of means, after less before;{together} by Student's t for pairs, Welch's for "
        "independent runs, and Derrick's for both. Would have seen: the change for the worse that "
        f"this test sees with a probability of {_percent(POWER)}."
    )


def as_markdown(comparison: Comparison, title: str, *, picture: bool) -> str:
    """Return the page of a comparison."""
    notes = "\n".join(f"- {escape(note)}" for note in comparison.notes)
    return (
        paragraphs(
            f"# {escape(title)}",
            f"**{escape(sentence(comparison))}**",
            as_table(comparison),
            f"![values and differences]({PICTURE})" if picture else "",
            how(comparison),
            notes,
        )
        + "\n"
    )


def as_json(comparison: Comparison, before: str, after: str) -> str:
    """Return the comparison for programs; what is no finite number is null."""
    record = {
        "verdict": comparison.verdict,
        "exit_code": comparison.exit_code,
        "sentence": sentence(comparison),
        "before": before,
        "after": after,
        "level": comparison.level,
        "permutations": PERMUTATIONS,
        "missing": comparison.missing,
        "notes": comparison.notes,
        "differences": [_record(each) for each in comparison.differences],
    }
    return json.dumps(record, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _record(each: Difference) -> dict[str, object]:
    column = each.column
    numbers = {
        "mean_before": column.means[0],
        "mean_after": column.means[1],
        "difference": each.interval.difference,
        "low": each.interval.low,
        "high": each.interval.high,
        "p": each.p,
        "would_have_seen": each.visible,
    }
    return {
        "configuration": column.configuration,
        "metric": column.metric,
        "larger_is_better": column.larger_is_better,
        "runs_before": len(column.before),
        "runs_after": len(column.after),
        "diverged_before": column.diverged[0],
        "diverged_after": column.diverged[1],
        "pairs": column.pairs,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
        "verdict": each.verdict or "not worse",
    }


def _count(column: Column, side: int) -> str:
    runs, diverged = len((column.before, column.after)[side]), column.diverged[side]
    return f"{runs} ({diverged} diverged)" if diverged else str(runs)


def _digits(each: Difference) -> int:
    """Return how many decimals show the interval, or else the difference, with two digits."""
    width = each.interval.high - each.interval.difference
    if not (math.isfinite(width) and width > 0):
        width = abs(each.interval.difference)
    if not (math.isfinite(width) and width > 0):
        return 4
    return min(max(1 - math.floor(math.log10(width)), 0), 12)


def _number(value: float, digits: int) -> str:
    if math.isinf(value):
        return "nothing"
    return NO_VALUE if math.isnan(value) else f"{value:.{digits}f}"


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}" if math.isfinite(value) else NO_VALUE


def _interval(each: Difference) -> str:
    low, high = each.interval.low, each.interval.high
    if not math.isfinite(low):
        return NO_VALUE
    return f"{_signed(low, _digits(each))} to {_signed(high, _digits(each))}"


def _percent(share: float) -> str:
    return f"{100 * share:.6g}%"


def _difference(each: Difference) -> str:
    column, digits = each.column, _digits(each)
    direction = "lower" if each.worse == column.larger_is_better else "higher"
    before, after = (_number(mean, digits) for mean in column.means)
    if direction == ("higher" if column.means[1] <= column.means[0] else "lower"):
        direction = f"{each.verdict} by its ranks"  # the means say otherwise, or a run diverged
    diverged = [
        f"{count} of {counted(len(values), 'run')} {where} diverged"
        for count, values, where in zip(
            column.diverged, (column.before, column.after), ("before", "after"), strict=True
        )
        if count
    ]
    more = "".join(f", {each}" for each in diverged)
    return f"{column.name} is {direction}, {after} after {before} (p {each.p_in_words}{more})"
