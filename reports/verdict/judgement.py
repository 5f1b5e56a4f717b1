"""Everything that is to be said of a night, and the one verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pandas as pd

from bench.store.records import LEARNER
from bench.store.store import Contents
from hnrnn import published
from reports.runs.completeness import (
    Configuration,
    Problem,
    configurations_of,
    find_notes,
    find_problems,
    of_another_kind,
)
from reports.runs.reading import read
from reports.runs.selection import (
    Selection,
    epochs_started,
    is_whole,
    of_shown_kind,
    other_kinds,
    select,
)
from reports.verdict import baseline as baselines
from reports.verdict import gates, throughput
from reports.verdict.confirmation import find_unlike, fresh_seeds
from reports.verdict.decision import EXIT_CODES, decide
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding, unexpected
from reports.verdict.gates import Gate
from reports.verdict.notebook import (
    Certificate,
    hold_against_notebook,
)
from reports.verdict.rates import Calibration, published_calibration
from reports.verdict.third_party import STARTS, Explained, explained, third_party_runs

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
    comparison: baselines.Comparison | None
    changes: tuple[throughput.Change, ...]
    configurations: tuple[Configuration, ...]
    """Every configuration that has runs of the judged kind tonight."""
    run_seconds: Mapping[Configuration, float]
    """How long those runs took, by configuration."""
    kind: Mapping[str, str]
    """What the judged runs have in the columns ``dtype``, ``initialisation``, ``engine``,
    ``device`` and, where the fault of that name was injected, ``injected_fault``."""
    confirmation_seeds: str | None
    """Fresh seeds for what is suspected; None where nothing is."""
    confirmation_folder: str
    """Where their runs are looked for."""

    @property
    def exit_code(self) -> int:
        """0 agrees, 1 regressed or differs, 3 incomplete or corrupt data, 4 inconclusive."""
        return EXIT_CODES[self.verdict]


def judge(evidence: Evidence) -> Judgement:
    """Return what is to be said of a night, and the verdict."""
    night = select(evidence.night)
    notebook = hold_against_notebook(night.epochs, published.tables())
    expected: set[Configuration] = set(evidence.last.configurations) if evidence.last else set()
    held = _Held()
    if evidence.baseline is not None:
        before = _select_like(night, evidence.baseline)
        expected |= configurations_of(before.grid)
        held = _hold(evidence, night, before)
    problems = find_problems(evidence.night, expected) + held.problems
    problems += [
        Problem("unreadable history", f"{name}: {reason}: delete it, or restore it")
        for name, reason in sorted(evidence.unreadable_history.items())
    ]
    runs = of_shown_kind(evidence.night.runs)
    surprises = len(unexpected(evidence.findings, notebook))
    decides = evidence.baseline is None
    found = [
        gates.gate_of_notebook(notebook, decides=decides, unexpected=surprises),
        *gates.gates_of_comparison(held.comparison, held.why_none_held),
        gates.gate_of_throughput(held.changes, held.why_not_timed),
        *gates.gate_of_other_kinds(other_kinds(evidence.night.runs)),
    ]
    lost = gates.lost_gates(found, evidence.last) if evidence.last else []
    problems += lost
    whole = runs[is_whole(runs)]
    data = gates.gate_of_data(problems, len(configurations_of(whole)), len(whole))
    gone = len(evidence.last.configurations - configurations_of(whole)) if evidence.last else 0
    found.append(gates.gate_of_last_night(evidence.last, len(lost) + gone, evidence.why_no_last))
    certificate, third_party_rows = published_facts()
    verdict, reasons = decide(evidence, problems, notebook, held.comparison, held.changes)
    comparison = held.comparison
    used = set(evidence.night.runs["seed"])
    used |= set(evidence.baseline.runs["seed"]) if evidence.baseline else set()
    suspected = comparison is not None and comparison.verdict == baselines.SUSPECTED
    return Judgement(
        verdict=verdict,
        reasons=tuple(reasons),
        gates=(data, *found),
        problems=tuple(problems),
        notes=(*find_notes(evidence.night, expected), *held.notes),
        notebook=notebook,
        certificate=certificate,
        findings=evidence.findings,
        third_party=tuple(third_party_rows),
        calibration=published_calibration(),
        comparison=comparison,
        changes=tuple(held.changes),
        configurations=tuple(sorted(configurations_of(runs))),
        run_seconds=_run_seconds(runs),
        kind=_kind(night),
        confirmation_seeds=fresh_seeds(used, night) if suspected else None,
        confirmation_folder=evidence.confirmation_folder,
    )


@dataclass
class _Held:
    """A night held against a baseline, with what kept it from being held."""

    comparison: baselines.Comparison | None = None
    changes: list[throughput.Change] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why_none_held: str = gates.NO_BASELINE
    why_not_timed: str = gates.NO_BASELINE


def _hold(evidence: Evidence, night: Selection, before: Selection) -> _Held:
    """Hold a night against a baseline; fresh seeds confirm only where they are sound."""
    held = _Held(problems=of_another_kind(night, before, "baseline"))
    held.comparison = baselines.hold_against_baseline(night.grid, before.grid)
    suspects = {difference.configuration for difference in held.comparison.first.worse}
    if evidence.confirmation is not None and suspects:
        fresh = _select_like(night, evidence.confirmation)
        unsound = of_another_kind(night, fresh, "confirmation")
        unsound = unsound or find_unlike(evidence.confirmation, suspects, night, before)
        if not unsound:
            held.comparison = baselines.confirm(held.comparison, fresh.grid, before.grid)
        held.problems += unsound
    compared = {difference.configuration for difference in held.comparison.first.differences}
    held.notes += [
        f"{' '.join(configuration)} is not in the baseline: whether it is worse cannot be said."
        for configuration in sorted(configurations_of(night.grid) - compared)
    ]
    if len(night.grid) and before.grid["started_at"].min() > night.grid["started_at"].max():
        held.notes.append("The baseline is newer than this night.")
    held.changes = throughput.changes(night.throughput, before.throughput)
    trained_on = night.runs["device_name"].unique()
    untimed = throughput.not_measured(night.throughput, before.throughput, trained_on)
    held.problems += [
        Problem(
            "missing timing", f"{' '.join(configuration)} has no {', '.join(phases)}", configuration
        )
        for configuration, phases in untimed.items()
    ]
    held.why_none_held = baselines.why_none_held(night.grid, before.grid)
    held.why_not_timed = throughput.why_not_compared(night.throughput, before.throughput)
    return held


def _select_like(night: Selection, contents: Contents) -> Selection:
    """Return the runs of the night's kind, where there are any."""
    kind = night.kind
    return select(
        contents,
        kind.get("initialisation", "ones"),
        engine=kind.get("engine", LEARNER),
        dtype=kind.get("dtype", "float32"),
    )


def _kind(night: Selection) -> dict[str, str]:
    """Return what the runs of a night have in common, as in ``Judgement.kind``."""
    first = night.runs[["device", "injected_fault"]].head(1).to_dict(orient="records")
    found = {str(name): value for row in first for name, value in row.items()}
    return night.kind | {name: str(value) for name, value in found.items() if pd.notna(value)}


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
    contents = read(folder)
    tables, third_party = published.tables(), published.third_party_runs()
    ones, uniform = (epochs_started(contents, start) for start in STARTS)
    runs = third_party_runs(third_party, ones, uniform)
    return hold_against_notebook(ones, tables), explained(runs, third_party, tables)
