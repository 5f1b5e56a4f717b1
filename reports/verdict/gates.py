"""The gates of a night: each test that can fail it, whether it ran, and what it found.

A gate that did not run has shown nothing. So every gate is named in the verdict, with the reason
where it did not run, and one that ran last night and did not run tonight is a problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.text import counted
from reports.runs.completeness import Problem, Square
from reports.verdict.baseline import EQUAL, INCONCLUSIVE, SUSPECTED, Comparison
from reports.verdict.notebook import AGREES, DIFFERS, Certificate
from reports.verdict.throughput import Change

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
NO_BASELINE = "no baseline was given"

COMPLETE = "complete data"
NOTEBOOK = "notebook's tables"
WEIGHTS = "equal weights"
VALUES = "accuracy and loss"
CONFIRMATION = "confirmation"
THROUGHPUT = "throughput"
LASTING = (WEIGHTS, VALUES, THROUGHPUT)
"""Gates that run every night once they have run: the others depend on what the night brings."""


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
    squares: frozenset[Square]
    """The squares that had runs of the full recipe."""


def lost_gates(gates: Iterable[Gate], last: LastNight) -> list[Problem]:
    """Return a problem for every gate that ran last night and did not run tonight."""
    return [
        Problem("lost gate", f"{gate.name} ran on {last.night} and not tonight: {gate.reason}")
        for gate in gates
        if gate.state == NOT_RUN and gate.name in last.gates and gate.name in LASTING
    ]


def gate_of_data(problems: Sequence[Problem], squares: int, runs: int) -> Gate:
    """Return the gate that asks whether everything is there and sound."""
    if problems:
        return Gate(COMPLETE, FAILED, counted(len(problems), "problem"))
    return Gate(COMPLETE, PASSED, f"{counted(runs, 'run')} in {squares} configurations")


def gate_of_notebook(certificate: Certificate, *, decides: bool, unexpected: int) -> Gate:
    """Return the gate that holds tonight's seeds against the notebook's tables."""
    if not decides:
        return Gate(NOTEBOOK, NOT_RUN, "the baseline decides; the tables are shown below")
    if unexpected:
        return Gate(NOTEBOOK, FAILED, f"{unexpected} tables differ, and no finding accepts it")
    if certificate.verdict not in (AGREES, DIFFERS):
        return Gate(NOTEBOOK, NOT_RUN, f"it needs {certificate.seeds_needed} seeds per model")
    return Gate(NOTEBOOK, PASSED, "no table differs, but for accepted findings")


def gates_of_comparison(comparison: Comparison | None, why_none_held: str) -> list[Gate]:
    """Return the gates that hold a night's weights and values against a baseline's.

    ``why_none_held`` is the reason where no two runs' weights could be compared.
    """
    if comparison is None:
        return [Gate(name, NOT_RUN, NO_BASELINE) for name in (WEIGHTS, VALUES, CONFIRMATION)]
    return [
        _gate_of_weights(comparison, why_none_held),
        _gate_of_values(comparison),
        _gate_of_confirmation(comparison),
    ]


def _gate_of_weights(comparison: Comparison, why_none_held: str) -> Gate:
    changed = sum(map(len, comparison.changed.values()))
    if changed:
        return Gate(WEIGHTS, FAILED, f"{changed} of {comparison.held_runs} repeated runs differ")
    if not comparison.held_runs:
        return Gate(WEIGHTS, NOT_RUN, why_none_held)
    return Gate(WEIGHTS, PASSED, f"{comparison.held_runs} repeated runs have the same weights")


def _gate_of_values(comparison: Comparison) -> Gate:
    first = comparison.first
    if not first.differences:
        return Gate(VALUES, NOT_RUN, "no configuration is in both the night and the baseline")
    if not first.enough and not first.worse:
        return Gate(VALUES, NOT_RUN, "too few seeds to reject anything")
    names = ", ".join(dict.fromkeys(" ".join(d.square) for d in first.worse))
    if not first.worse:
        how = "seed by seed" if first.paired else "between independent seeds"
        return Gate(VALUES, PASSED, f"{len(first.differences)} columns compared {how}")
    if comparison.confirmation and comparison.verdict == EQUAL:
        return Gate(VALUES, PASSED, f"{names} suspected, and cleared on fresh seeds")
    return Gate(VALUES, FAILED, f"{names} suspected to be worse")


def _gate_of_confirmation(comparison: Comparison) -> Gate:
    if not comparison.first.worse:
        return Gate(CONFIRMATION, NOT_RUN, "nothing is suspected")
    if comparison.confirmation is None:
        return Gate(CONFIRMATION, NOT_RUN, "there are no sound runs of fresh seeds")
    if comparison.confirmation.worse:
        return Gate(CONFIRMATION, FAILED, "fresh seeds confirm it")
    if comparison.verdict in (INCONCLUSIVE, SUSPECTED):
        return Gate(CONFIRMATION, NOT_RUN, "too few fresh seeds to clear it")
    return Gate(CONFIRMATION, PASSED, "fresh seeds clear it")


def gate_of_throughput(changes: Sequence[Change], why_not: str) -> Gate:
    """Return the gate that holds throughput ratios against the baseline's.

    ``why_not`` is the reason where nothing could be compared.
    """
    if not changes:
        return Gate(THROUGHPUT, NOT_RUN, why_not)
    slower = sum(change.slower for change in changes)
    if slower:
        return Gate(THROUGHPUT, FAILED, f"{slower} of {len(changes)} ratios are lower")
    return Gate(THROUGHPUT, PASSED, f"none of {len(changes)} ratios is lower")
