"""The report's section on history: the last nights, what has drifted, and the trend figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from bench.text import counted
from reports.history.columns import FIRST_NIGHTS, THROUGHPUT
from reports.history.drift import CONFIDENCE, Drift, DriftTest
from reports.history.nights import PROVENANCE, changes
from reports.history.shifts import Shift
from reports.pages.tables import NO_VALUE, escape, table
from reports.statistics.cusum import REFERENCE_VALUE

HEADING = "## History"
NIGHTS_SHOWN = 14
MARKED = [column for column in PROVENANCE if column != "commit"]
"""Columns whose changes are named; the commit has a column of its own."""
MEASURE_NAMES = {
    "accuracy": "accuracy",
    "valid_loss": "validation loss",
    THROUGHPUT: "throughput (ratio to the reference backend)",
}
DAY = "%Y-%m-%d"


def history_section(
    history: pd.DataFrame,
    unreadable: Mapping[str, str],
    test: DriftTest,
    pictures: Mapping[str, str],
    shifts: Sequence[Shift] = (),
) -> str:
    """Return the section as markdown.

    ``history`` and ``unreadable`` are what ``reports.history.nights.read`` returns, ``test`` what
    ``reports.history.drift.find_drifts`` does; ``pictures`` names the trend figure of each variant
    that has one, from where the report lies. ``shifts`` are the accepted ones, oldest first.
    """
    parts = [HEADING]
    if unreadable:
        lines = [f"- {escape(name)}: {escape(reason)}" for name, reason in unreadable.items()]
        parts.append("These files cannot be used, and are missing below:\n\n" + "\n".join(lines))
    if history.empty:
        return "\n\n".join([*parts, "The history has no night yet."])
    nights = history["night"].nunique()
    first, last = (f"{night:{DAY}}" for night in (history["night"].min(), history["night"].max()))
    span = f"from {first} to {last}" if nights > 1 else f"of {first}"
    shown = f"; the last {NIGHTS_SHOWN}:" if nights > NIGHTS_SHOWN else ":"
    parts += [
        f"{counted(nights, 'night')} {span}{shown}",
        _nights(history),
        *([_events(shifts)] if shifts else []),
        _findings(test, shifts),
        *([_method(test)] if test.columns else []),
        *(f"![{escape(name)}: trend by night]({path})" for name, path in pictures.items()),
    ]
    return "\n\n".join(parts)


def _nights(history: pd.DataFrame) -> str:
    """Return the table of the last nights, the newest first."""
    changed = {change.night: change.label for change in changes(history, MARKED)}
    rows = []
    for night in sorted(history["night"].unique(), reverse=True)[:NIGHTS_SHOWN]:
        configurations = history[history["night"] == night]
        seeds = configurations.loc[configurations["seeds"] > 0, "seeds"]
        row = configurations.iloc[0]
        rows.append(
            [
                f"{night:%Y-%m-%d %H:%M}",
                str(row["verdict"]),
                changed.get(night, ""),
                _range(seeds),
                str(int(configurations["diverged"].sum())),
                _text(row["device_name"]),
                _text(row["torch_version"]),
                _text(row["commit"], digits=7),
            ]
        )
    header = [
        "night (UTC)", "verdict", "changed", "seeds", "diverged", "device", "torch", "commit",
    ]  # fmt: skip
    return table(header, rows, text={*header} - {"seeds", "diverged"})


def _text(value: object, digits: int | None = None) -> str:
    return NO_VALUE if pd.isna(value) else str(value)[:digits]  # type: ignore[call-overload]


def _range(seeds: pd.Series[int]) -> str:
    if seeds.empty:
        return "0"
    fewest, most = int(seeds.min()), int(seeds.max())
    return str(most) if fewest == most else f"{fewest} to {most}"


def _events(shifts: Sequence[Shift]) -> str:
    """Return the accepted shifts as a list, the newest first."""
    lines = "\n".join(
        f"- {shift.night:{DAY}}: {escape(shift.acceptance.reason)} ({escape(where(shift))})"
        for shift in reversed(shifts)
    )
    return (
        f"**Accepted shifts.** From each of these nights on, that night is the baseline:\n\n{lines}"
    )


def where(shift: Shift) -> str:
    """Name the configurations that a shift was accepted for."""
    acceptance = shift.acceptance
    names = dict.fromkeys([*acceptance.from_reference, *acceptance.from_baseline])
    return ", ".join(names) or "no configuration departs"


def _findings(test: DriftTest, shifts: Sequence[Shift] = ()) -> str:
    """Say what has drifted, in the numbers of the test."""
    if not test.columns:
        wanted = (
            "a night of two seeds or more that is later than the baseline"
            if test.with_baseline
            else f"more than {FIRST_NIGHTS} nights of two seeds or more"
        )
        return f"**No test for drift yet:** it needs {wanted}."
    tested = (
        f"{counted(test.columns, 'column')} (every backend's final accuracy, validation loss and, "
        f"where it is timed, throughput) over {counted(test.nights, 'night')}"
        + (f" since the shift of {shifts[-1].night:{DAY}}" if shifts else "")
    )
    if not test.drifts:
        return f"**No drift** is found in {tested}."
    lines = "\n".join(f"- {_sentence(drift)}" for drift in test.drifts)
    return f"**Drift** is found in {tested}:\n\n{lines}"


def _sentence(drift: Drift) -> str:
    until = "" if drift.standing else f" until {drift.flagged[-1]:{DAY}}"
    last = "and still is on the last night" if drift.standing else "and no longer is"
    return (
        f"{escape(drift.variant)} {escape(drift.backend)}: {MEASURE_NAMES[drift.measure]} has "
        f"{drift.way}, from {drift.reference_mean:.4f} to {drift.mean:.4f} on average since "
        f"{drift.since:{DAY}}{_commits(drift)}{until} ({'worse' if drift.worse else 'better'}, "
        f"with an average rank score of {drift.score:+.1f}). It was flagged first on "
        f"{drift.flagged[0]:{DAY}}, {last}."
    )


def _commits(drift: Drift) -> str:
    """Name the commit of the change point, and the last one before it if that is another."""
    if drift.commit is None:
        return ""
    after = drift.commit_before if drift.commit_before != drift.commit else None
    return f", commit {escape(drift.commit[:7])}" + (f" after {escape(after[:7])}" if after else "")


def _method(test: DriftTest) -> str:
    reference = f"those of its first {FIRST_NIGHTS} nights"
    if test.with_baseline:
        reference = f"the baseline's or, where the baseline has none, {reference}"
    older = (
        f" The values of {counted(test.without_values, 'older night')} were not kept: "
        "they are not tested."
        if test.without_values
        else ""
    )
    return (
        "How drift is tested: each night's values are held against "
        f"{reference}, by Wilcoxon's rank score: seeds that both have are compared in pairs. A "
        "second score ranks them among those of all earlier nights too; throughput is ranked among "
        "that of earlier nights. The scores are summed over the nights in two CUSUM charts each "
        f"(Page 1954; reference value {REFERENCE_VALUE:g}, threshold {test.threshold:.2f}). The "
        "threshold is for at most one false alarm, anywhere in the grid, in "
        f"{test.false_alarm_nights} nights on average. The seed variance that stays, of the "
        f"reference and of repeated seeds, is allowed for at {CONFIDENCE:.0%} confidence: a drift "
        "within it is not seen. A drift is dated by the most likely change of the mean up to its "
        f"alarm; the commit is that of the first night after it.{older}"
    )
