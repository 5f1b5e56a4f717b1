"""The verdict on throughput in words and tables: what changed, and how often that errs."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.text import counted
from reports.pages.tables import escape, table, table_of
from reports.verdict import throughput
from reports.verdict.rates import found_slowdowns
from reports.verdict.timed_nights import NOWHERE


def changes_part(changes: Sequence[throughput.Change]) -> str:
    """Return the part on what is faster or slower than in the baseline."""
    notable = sorted(changes, key=lambda c: c.change)
    shown = [c for c in notable if c.slower or c.faster] or notable[:3]
    slower = sum(c.slower for c in changes)
    text = (
        f"{counted(len(changes), 'ratio')} beside the baseline's, of a backend to the reference or "
        f"of the reference to the calibration workload: {slower or 'none'} slower by more than "
        f"measurements without a change differ. {_absolute(changes)}{_seen(changes)}"
    )
    lines = table_of(
        shown,
        [
            ("model", lambda c: c.variant),
            ("backend", lambda c: c.backend),
            ("phase", lambda c: c.phase),
            ("relative to", lambda c: c.held_to),
            ("change", lambda c: f"{c.change:.2f} ({c.low:.2f} to {c.high:.2f})"),
            ("baseline", lambda c: f"{c.baseline_ratio:.2f}"),
            ("tonight", lambda c: f"{c.ratio:.2f}"),
        ],
        text=("model", "backend", "phase", "relative to"),
    )
    return f"### Throughput against the baseline\n\n{text}\n\n{lines}"


def slowdowns_part(slowed: pd.DataFrame) -> tuple[str, str]:
    """Say how often the verdict on throughput errs, and what it finds."""
    rates = found_slowdowns(slowed)
    alarms = rates.pop(NOWHERE)[0.0]
    slowdowns = sorted({slowdown for each in rates.values() for slowdown in each})
    rows = [[place, *map(str, map(of.__getitem__, slowdowns))] for place, of in rates.items()]
    guide = (
        "The verdict on throughput was tested on measurements without a change between them, "
        f"on a machine with other work: {alarms} failed. With recorded times made longer by a "
        "part, it found:"
    )
    headers = ["slower", *(f"by {slowdown:.0%}" for slowdown in slowdowns)]
    return guide, table(headers, rows, text=("slower",))


def _absolute(changes: Sequence[throughput.Change]) -> str:
    """Say how fast the references are beside the calibration workload; empty without it."""
    held = [c for c in changes if c.absolute and not c.untested]
    if not held:
        return ""
    low, high = (pick(c.change for c in held) for pick in (min, max))
    names = dict.fromkeys(f"{c.variant} {c.backend}" for c in held if c.slower)
    which = f"slower: {', '.join(map(escape, names))}" if names else "none is slower"
    return (
        f"Relative to the calibration workload, the references are at {low:.2f} to {high:.2f} of "
        f"the baseline's throughput; {which}. "
    )


def _seen(changes: Sequence[throughput.Change]) -> str:
    """Say how large a slow-down would have been found tonight."""
    parts = []
    for name, absolute in (("one backend", False), ("the reference or of everything", True)):
        visible = [1 - c.visible for c in changes if c.absolute == absolute and not c.untested]
        if visible:
            ends = dict.fromkeys(f"{end:.0%}" for end in (min(visible), max(visible)))
            parts.append(f"of {name} by {' to '.join(ends)}")
    if not parts:
        return ""
    return (
        f"With probability {throughput.POWER:g} tonight would have shown a fall of the throughput "
        f"{', and '.join(parts)}, depending on the model and the phase."
    )
