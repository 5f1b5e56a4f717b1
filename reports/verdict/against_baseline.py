"""A night held against a baseline: seed by seed, as distributions, and in throughput."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pandas as pd

from reports.runs.completeness import Problem, of_another_kind
from reports.runs.night import CONFIGURATION, Configuration, Night, configurations_of, is_in
from reports.runs.selection import with_runs
from reports.verdict import throughput
from reports.verdict.acceptance import Acceptance
from reports.verdict.baseline import EQUAL, SUSPECTED, Comparison, confirm, hold_against_baseline
from reports.verdict.confirmation import find_unlike, fresh_seeds, published_pairs
from reports.verdict.pairs import Pairs, pair
from reports.verdict.same_computation import SameComputation, compare

NO_BASELINE = "no baseline was given"


@dataclass
class AgainstBaseline:
    """What a night held against a baseline comes to; of a night without one, nothing."""

    pairs: Pairs | None = None
    comparison: Comparison | None = None
    confirmation_seeds: str | None = None
    """Fresh seeds for what is suspected; None where nothing is."""
    fresh: SameComputation | None = None
    """Sound fresh runs of what is suspected, held against the reference runs of their seeds."""
    changes: list[throughput.Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why_not_timed: str = NO_BASELINE


def hold(
    night: Night, baseline: Night, fresh: Night | None, acceptance: Acceptance | None = None
) -> AgainstBaseline:
    """Hold a night against a baseline; fresh seeds confirm only where they are sound.

    They clear nothing where one has a reference and is not the same, nor accepted to be another.
    """
    held = AgainstBaseline(problems=of_another_kind(night, baseline, "baseline"))
    ours, theirs = night.selection, baseline.selection
    held.pairs = pair(night, baseline)
    held.comparison = hold_against_baseline(ours.grid, theirs.grid)
    if held.comparison.first.suspects:
        _confirm(held, night, baseline, fresh, acceptance)
    held.notes += [
        f"{' '.join(configuration)} is not in the baseline: whether it is worse cannot be said."
        for configuration in sorted(configurations_of(ours.grid) - configurations_of(theirs.grid))
    ]
    if len(ours.grid) and theirs.grid["started_at"].min() > ours.grid["started_at"].max():
        held.notes.append("The baseline is newer than this night.")
    held.changes = throughput.changes(ours.throughput, theirs.throughput)
    trained_on = ours.runs["device_name"].unique()
    untimed = throughput.not_measured(ours.throughput, theirs.throughput, trained_on)
    held.problems += [
        Problem(
            "missing timing", f"{' '.join(configuration)} has no {', '.join(phases)}", configuration
        )
        for configuration, phases in untimed.items()
    ]
    held.why_not_timed = throughput.why_not_compared(ours.throughput, theirs.throughput)
    return held


def _confirm(
    held: AgainstBaseline,
    night: Night,
    baseline: Night,
    fresh: Night | None,
    acceptance: Acceptance | None,
) -> None:
    """Confirm what is suspected on fresh seeds, or say which seeds are needed.

    Fresh seeds are paired with our published runs, where the baseline computes the same.
    """
    if held.comparison is None:
        return
    suspected = held.comparison.first.suspects
    suspects = {difference.configuration for difference in suspected}
    ours, theirs = night.selection, baseline.selection
    pairs = published_pairs(baseline, suspects)
    if fresh is not None:
        unsound = of_another_kind(night, fresh, "confirmation")
        unsound = unsound or find_unlike(fresh.contents, suspects, ours, theirs)
        if not unsound:
            keys = [*CONFIGURATION, "seed", "initial_weights_sha256"]
            same_start = pairs.merge(fresh.selection.grid[keys], on=keys)
            before = pd.concat([theirs.grid, same_start], ignore_index=True)
            held.comparison = confirm(held.comparison, fresh.selection.grid, before)
            held.fresh = compare(_of(fresh, suspects), acceptance)
            if held.comparison.verdict == EQUAL and _departs(held.fresh):
                why = "they depart from the reference runs of their seeds"
                held.comparison = replace(held.comparison, verdict=SUSPECTED, not_cleared=why)
        held.problems += unsound
    if held.comparison.verdict == SUSPECTED:
        used = {*night.contents.runs["seed"], *baseline.contents.runs["seed"]}
        most = max(difference.seeds for difference in suspected)
        held.confirmation_seeds = fresh_seeds(used, most, set(pairs["seed"]))


def _of(night: Night, configurations: set[Configuration]) -> Night:
    runs = night.contents.runs
    own = with_runs(night.contents, runs[is_in(runs, configurations)])
    return replace(night, contents=own)


def _departs(same: SameComputation) -> bool:
    return bool(same.others or same.unexplained or same.other_starts)
