"""The gates of a night: every test that can fail it, whether it ran, and what it found.

A gate that did not run has shown nothing. The verdict therefore names every gate, with the reason
where it did not run. A gate that ran last night and did not run tonight is a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.text import counted
from reports.runs.completeness import Problem
from reports.runs.night import Configuration
from reports.verdict.against_baseline import NO_BASELINE, AgainstBaseline
from reports.verdict.baseline import EQUAL, INCONCLUSIVE, SUSPECTED, Comparison
from reports.verdict.notebook import Certificate
from reports.verdict.pairs import Pairs, in_words
from reports.verdict.same_computation import (
    SameComputation,
    accepted_in_words,
    nearest,
    reasons_in_words,
    reference_of,
    summary,
    undecided_in_words,
)
from reports.verdict.throughput import Change

PASSED, FAILED, NOT_RUN, UNEXPLAINED = "passed", "failed", "not run", "unexplained"
OPEN = (NOT_RUN, UNEXPLAINED)
"""States that decide nothing."""

COMPLETE = "complete data"
SAME = "same computation"
NOTEBOOK = "notebook's tables"
PAIRED = "same as the baseline"
VALUES = "accuracy and loss"
CONFIRMATION = "confirmation"
THROUGHPUT = "throughput"
LAST_NIGHT = "last night's gates"
LASTING = (SAME, PAIRED, VALUES, THROUGHPUT)
"""Gates that have to run every night once they have run."""


@dataclass(frozen=True)
class Gate:
    """One test of a night: its name, ``passed``, ``failed`` or ``not run``, and the reason."""

    name: str
    state: str
    reason: str

    def __str__(self) -> str:
        """Return the gate in a line."""
        return f"{self.name}: {self.state}, {self.reason}"


@dataclass(frozen=True)
class LastNight:
    """What a history says of the latest earlier night whose data were complete."""

    night: str
    """When its first run started."""
    gates: frozenset[str]
    """The gates that ran."""
    configurations: frozenset[Configuration]
    """The configurations that had runs of the full recipe."""


def has_run(gate: Gate) -> bool:
    """Say whether a history tells that the gate ran. Of incomplete data nothing is known."""
    return gate.state != NOT_RUN and (gate.name, gate.state) != (COMPLETE, FAILED)


def lost_gates(gates: Iterable[Gate], last: LastNight) -> list[Problem]:
    """Return a problem for every gate that ran last night and did not run tonight."""
    return [
        Problem(
            "lost gate",
            f"{gate.name} ran on {last.night} and not tonight: {gate.reason}; make it run again, "
            "or accept the change with a new baseline (`reports.ci judge --freeze`)",
        )
        for gate in gates
        if gate.state == NOT_RUN and gate.name in last.gates and gate.name in LASTING
    ]


def gate_of_last_night(last: LastNight | None, lost: int, why_not: str) -> Gate:
    """Return the gate that asks whether all that ran last night ran tonight.

    ``lost`` counts what did not; ``why_not`` is the reason where there is no last night.
    """
    if last is None:
        return Gate(LAST_NIGHT, NOT_RUN, why_not)
    if lost:
        return Gate(LAST_NIGHT, FAILED, f"{lost} that ran on {last.night} did not run tonight")
    return Gate(LAST_NIGHT, PASSED, f"all that ran on {last.night} ran again")


def gate_of_data(problems: Sequence[Problem], configurations: int, runs: int, smoke: str) -> Gate:
    """Return the gate that asks whether everything is there and sound.

    ``smoke`` says how far the runs of a smoke test came; it is empty for other nights.
    """
    if problems:
        return Gate(COMPLETE, FAILED, counted(len(problems), "problem"))
    if smoke:
        return Gate(COMPLETE, NOT_RUN, smoke)
    return Gate(COMPLETE, PASSED, f"{counted(runs, 'run')} in {configurations} configurations")


def gate_of_same_computation(same: SameComputation) -> Gate:
    """Return the gate that holds every run against the reference run of its seed."""
    if same.other_starts and not same.others:
        return Gate(SAME, FAILED, "; ".join(each.sentence() for each in same.other_starts))
    if same.others or same.unexplained:
        worst = (same.others or same.unexplained)[0]
        count = len(same.others or same.unexplained)
        more = f", and {count - 1} more" if count > 1 else ""
        reason = worst.sentence(reference_of(worst)) + more
        return Gate(SAME, FAILED if same.others else UNEXPLAINED, reason)
    if same.unpaired:
        return Gate(SAME, UNEXPLAINED, "; ".join(undecided_in_words(same)))
    without, accepted = reasons_in_words(same), accepted_in_words(same)
    if not same.passed:
        names = ", ".join(" ".join(configuration) for configuration in same.uncovered)
        some = f"{names}: " if names else "without a reference, "
        some = some if same.departures else ""
        return Gate(SAME, NOT_RUN, f"{some}{without}" if without else "there are no runs")
    parts = [accepted, f"without a reference, {without}" if without else ""]
    if same.departures:
        near = nearest(same)
        reason = f"{summary(same)}; nearest to its limit is {near.name}, {near.place}, at "
        parts.insert(0, f"{reason}{near.nearness:.0%} of it")
    return Gate(SAME, PASSED, "; ".join(filter(None, parts)))


def gate_of_notebook(
    certificate: Certificate, *, decides: bool, by_published: bool, unexpected: int
) -> Gate:
    """Return the gate that holds the notebook's tables against our seeds.

    ``certificate`` is that of the published seeds where tonight's are too few (``by_published``).
    ``decides`` is false where a baseline decides instead of tonight's seeds.
    """
    if not (decides or by_published):
        return Gate(NOTEBOOK, NOT_RUN, "the baseline decides; the tables are shown below")
    if unexpected:
        tables = counted(unexpected, "table")
        return Gate(NOTEBOOK, FAILED, f"{tables} differ from what is published or accepted")
    if any(agreement.seeds == 0 for agreement in certificate.agreements):
        return Gate(NOTEBOOK, NOT_RUN, "not every model has runs of the full recipe")
    if any(agreement.verdict == INCONCLUSIVE for agreement in certificate.agreements):
        return Gate(NOTEBOOK, NOT_RUN, f"it needs {certificate.seeds_needed} seeds per model")
    by = ", by the published seeds of the same computation" if by_published else ""
    return Gate(NOTEBOOK, PASSED, f"no table differs, but for accepted findings{by}")


def gates_of_comparison(held: AgainstBaseline) -> list[Gate]:
    """Return the gates that hold a night's runs and values against a baseline's."""
    if held.comparison is None or held.pairs is None:
        return [Gate(name, NOT_RUN, NO_BASELINE) for name in (PAIRED, VALUES, CONFIRMATION)]
    return [
        _gate_of_pairs(held.pairs),
        _gate_of_values(held.comparison),
        _gate_of_confirmation(held.comparison),
    ]


def _gate_of_pairs(pairs: Pairs) -> Gate:
    departing = pairs.others or pairs.unexplained
    if departing:
        more = f", and {len(departing) - 1} more" if len(departing) > 1 else ""
        reason = departing[0].sentence("the baseline's") + more
        return Gate(PAIRED, FAILED if pairs.others else UNEXPLAINED, reason)
    left = "; ".join(f"{counted(n, 'run')}: {reason}" for reason, n in pairs.not_compared.items())
    if not pairs.passed:
        return Gate(PAIRED, NOT_RUN, left)
    return Gate(PAIRED, PASSED, "; ".join(filter(None, (in_words(pairs), left))))


def _gate_of_values(comparison: Comparison) -> Gate:
    first = comparison.first
    if not first.differences:
        return Gate(VALUES, NOT_RUN, "no configuration is in both the night and the baseline")
    if not first.enough and not first.suspects:
        return Gate(VALUES, NOT_RUN, "too few seeds to reject anything")
    names = ", ".join(dict.fromkeys(" ".join(d.configuration) for d in first.suspects))
    if not first.suspects:
        few = counted(len(first.few), "configuration")
        few = f"; too few seeds for that in {few}" if first.few else ""
        return Gate(VALUES, PASSED, f"{len(first.differences)} columns compared {first.how}{few}")
    if comparison.confirmation and comparison.verdict == EQUAL:
        return Gate(VALUES, PASSED, f"{names} suspected, and cleared on fresh seeds")
    return Gate(VALUES, FAILED, f"{names} suspected to differ")


def _gate_of_confirmation(comparison: Comparison) -> Gate:
    if not comparison.first.suspects:
        return Gate(CONFIRMATION, NOT_RUN, "nothing is suspected")
    if comparison.confirmation is None:
        return Gate(CONFIRMATION, NOT_RUN, "there are no sound runs of fresh seeds")
    if comparison.confirmed:
        return Gate(CONFIRMATION, FAILED, "fresh seeds confirm it")
    if comparison.verdict == SUSPECTED:
        return Gate(CONFIRMATION, NOT_RUN, f"it rules out nothing: {comparison.not_cleared}")
    return Gate(CONFIRMATION, PASSED, "fresh seeds clear it")


def gate_of_throughput(changes: Sequence[Change], why_not: str) -> Gate:
    """Return the gate that holds throughput ratios against the baseline's.

    ``why_not`` is the reason where nothing could be compared.
    """
    if not changes:
        return Gate(THROUGHPUT, NOT_RUN, why_not)
    slower = sum(change.slower for change in changes)
    untested = sum(change.untested for change in changes)
    ratios = counted(len(changes), "ratio")
    if slower:
        return Gate(THROUGHPUT, FAILED, f"{slower} of {ratios} fell")
    if untested:
        few = f"{untested} of {ratios} measured in a single round"
        return Gate(THROUGHPUT, NOT_RUN, f"{few}, which cannot show a change")
    return Gate(THROUGHPUT, PASSED, f"none of {ratios} fell")
