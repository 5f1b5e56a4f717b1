"""Everything that is to be said of a night, and the one verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from hnrnn import published
from reports.runs.completeness import Problem, find_notes, find_problems, of_another_kind
from reports.runs.night import Configuration, Night, configurations_of
from reports.runs.reading import read
from reports.verdict import gates, throughput
from reports.verdict.baseline import (
    SUSPECTED,
    Comparison,
    confirm,
    hold_against_baseline,
    why_none_held,
)
from reports.verdict.confirmation import find_unlike, fresh_seeds
from reports.verdict.decision import EXIT_CODES, decide
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding, unexpected
from reports.verdict.gates import Gate
from reports.verdict.notebook import Certificate, hold_against_notebook
from reports.verdict.rates import Calibration, published_calibration
from reports.verdict.third_party import Explained, explained, third_party_runs

PUBLISHED_RUNS = Path(__file__).parents[1] / "published" / "cpu"
"""The published set of seeds that the notebook is certified by."""


@dataclass(frozen=True)
class Judgement:
    """A night, judged.

    ``notebook`` holds tonight's seeds against the notebook, ``certificate`` the published ones,
    the same every night. ``comparison`` and ``changes`` are None and empty without a baseline.
    """

    verdict: str
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    """Every test that could have failed the night, and whether it ran."""
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What a reader should know although nothing is wrong with it."""
    notebook: Certificate
    certificate: Certificate | None
    findings: tuple[Finding, ...]
    third_party: tuple[Explained, ...]
    calibration: Calibration | None
    """How often this judgement errs, as measured; None where that is not installed."""
    comparison: Comparison | None
    changes: tuple[throughput.Change, ...]
    configurations: tuple[Configuration, ...]
    """Every configuration that has runs of the judged kind tonight."""
    run_seconds: Mapping[Configuration, float]
    """How long those runs took, by configuration."""
    kind: Mapping[str, str]
    """What the judged runs have in the columns ``dtype``, ``initialisation``, ``device`` and, where
    a fault was injected into them, ``injected_fault``."""
    confirmation_seeds: str | None
    """Fresh seeds for what is suspected; None where nothing is."""
    confirmation_folder: str
    """Where ``check`` looks for their runs."""

    @property
    def exit_code(self) -> int:
        """0 agrees, 1 regressed or differs, 3 incomplete or corrupt data, 4 inconclusive."""
        return EXIT_CODES[self.verdict]


def judge(evidence: Evidence) -> Judgement:
    """Return what is to be said of a night, and the verdict."""
    night, before, last = evidence.night, evidence.baseline, evidence.last
    notebook = hold_against_notebook(night.selection.epochs, published.tables())
    expected: set[Configuration] = set(last.configurations) if last else set()
    held = _Held()
    if before is not None:
        expected |= configurations_of(before.selection.grid)
        held = _hold(night, before, evidence.confirmation)
    problems = find_problems(night, expected) + held.problems
    problems += [
        Problem("unreadable history", f"{name}: {reason}: delete it, or restore it")
        for name, reason in sorted(evidence.unreadable_history.items())
    ]
    found = [
        gates.gate_of_notebook(
            notebook,
            decides=before is None,
            unexpected=len(unexpected(evidence.findings, notebook)),
        ),
        *gates.gates_of_comparison(held.comparison, held.why_none_held),
        gates.gate_of_throughput(held.changes, held.why_not_timed),
    ]
    lost = gates.lost_gates(found, last) if last else []
    problems += lost
    data = gates.gate_of_data(problems, len(night.configurations), len(night.whole))
    gone = len(last.configurations - night.configurations) if last else 0
    found.append(gates.gate_of_last_night(last, len(lost) + gone, evidence.why_no_last))
    certificate, third_party_rows = published_facts()
    comparison = held.comparison
    verdict, reasons = decide(evidence, problems, notebook, comparison, held.changes)
    return Judgement(
        verdict=verdict,
        reasons=tuple(reasons),
        gates=(data, *found),
        problems=tuple(problems),
        notes=(*night.selection.left_out, *find_notes(night, expected), *held.notes),
        notebook=notebook,
        certificate=certificate,
        findings=evidence.findings,
        third_party=tuple(third_party_rows),
        calibration=published_calibration(),
        comparison=comparison,
        changes=tuple(held.changes),
        configurations=tuple(sorted(configurations_of(night.selection.of_kind))),
        run_seconds=_run_seconds(night.selection.of_kind),
        kind=_kind(night),
        confirmation_seeds=_fresh_seeds(night, before, comparison),
        confirmation_folder=evidence.confirmation_folder,
    )


@dataclass
class _Held:
    """A night held against a baseline, with what kept it from being held."""

    comparison: Comparison | None = None
    changes: list[throughput.Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why_none_held: str = gates.NO_BASELINE
    why_not_timed: str = gates.NO_BASELINE


def _hold(night: Night, before: Night, fresh: Night | None) -> _Held:
    """Hold a night against a baseline; fresh seeds confirm only where they are sound."""
    held = _Held(problems=of_another_kind(night, before, "baseline"))
    ours, theirs = night.selection, before.selection
    held.comparison = hold_against_baseline(ours.grid, theirs.grid)
    suspects = {difference.configuration for difference in held.comparison.first.worse}
    if fresh is not None and suspects:
        unsound = of_another_kind(night, fresh, "confirmation")
        unsound = unsound or find_unlike(fresh.contents, suspects, ours, theirs)
        if not unsound:
            held.comparison = confirm(held.comparison, fresh.selection.grid, theirs.grid)
        held.problems += unsound
    compared = {difference.configuration for difference in held.comparison.first.differences}
    held.notes += [
        f"{' '.join(configuration)} is not in the baseline: whether it is worse cannot be said."
        for configuration in sorted(configurations_of(ours.grid) - compared)
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
    held.why_none_held = why_none_held(ours.grid, theirs.grid)
    held.why_not_timed = throughput.why_not_compared(ours.throughput, theirs.throughput)
    return held


def _fresh_seeds(night: Night, before: Night | None, comparison: Comparison | None) -> str | None:
    """Return the seeds that are to confirm or clear what is suspected; None where nothing is."""
    if before is None or comparison is None or comparison.verdict != SUSPECTED:
        return None
    used = {*night.contents.runs["seed"], *before.contents.runs["seed"]}
    return fresh_seeds(used, max(difference.seeds for difference in comparison.first.worse))


def _kind(night: Night) -> dict[str, str]:
    """Return what the runs of a night have in common, as in ``Judgement.kind``."""
    first = night.selection.runs[["device", "injected_fault"]].head(1).to_dict(orient="records")
    found = {str(name): value for row in first for name, value in row.items()}
    common = {name: str(value) for name, value in found.items() if pd.notna(value)}
    return night.selection.kind | common


def _run_seconds(runs: pd.DataFrame) -> dict[Configuration, float]:
    seconds: dict[Configuration, float] = {}
    for row in runs[["variant", "backend", "total_seconds"]].to_dict(orient="records"):
        configuration = (str(row["variant"]), str(row["backend"]))
        seconds[configuration] = seconds.get(configuration, 0.0) + float(row["total_seconds"])
    return seconds


@cache
def published_facts(folder: Path = PUBLISHED_RUNS) -> tuple[Certificate | None, list[Explained]]:
    """Return the certificate by the published seeds, and what they say of other people's runs.

    None and nothing where the published runs are not there, as in an installed wheel.
    """
    if not folder.is_dir():
        return None, []
    night, tables = Night.of(read(folder)), published.tables()
    ones, third_party = night.selection.epochs, published.third_party_runs()
    runs = third_party_runs(third_party, ones, night.uniform_epochs)
    return hold_against_notebook(ones, tables), explained(runs, third_party, tables)
