"""Everything that is to be said of a night, and the one verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd

from hnrnn import published
from reports.runs.completeness import SHORT_RUNS, Problem, find_notes, find_problems
from reports.runs.night import Configuration, Night, configurations_of
from reports.runs.reading import read
from reports.verdict import against_baseline, gates, throughput
from reports.verdict.against_baseline import AgainstBaseline
from reports.verdict.baseline import Comparison
from reports.verdict.decision import EXIT_CODES, Findings, decide
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding, unexpected
from reports.verdict.gates import Gate
from reports.verdict.notebook import INCONCLUSIVE, Certificate, hold_against_notebook
from reports.verdict.pairs import Pairs, outdated
from reports.verdict.rates import Calibration, published_calibration
from reports.verdict.same_computation import SameComputation, compare, odd_in_words
from reports.verdict.third_party import Explained, explained, third_party_runs

PUBLISHED_RUNS = Path(__file__).parents[1] / "published" / "cpu"
"""The published seeds that the notebook is certified by."""


@dataclass(frozen=True)
class Judgement:
    """A night, judged.

    ``pairs`` and ``comparison`` are None, and ``changes`` is empty, without a baseline.
    """

    verdict: str
    reasons: tuple[str, ...]
    gates: tuple[Gate, ...]
    """Every test that could have failed the night, and whether it ran."""
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What a reader should know although nothing is wrong with it."""
    same: SameComputation
    """Tonight's runs held against the reference runs of their seeds."""
    notebook: Certificate
    """Tonight's seeds held against the notebook."""
    certificate: Certificate | None
    """The published seeds held against the notebook: the same every night."""
    by_published: bool
    """Whether ``certificate`` decides on the notebook, because tonight's runs compute the same and
    are too few to reject anything on their own."""
    findings: tuple[Finding, ...]
    third_party: tuple[Explained, ...]
    calibration: Calibration | None
    """How often this judgement errs, as measured; None where that is not installed."""
    pairs: Pairs | None
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

    @property
    def deciding(self) -> Certificate:
        """The certificate that decides on the notebook's tables."""
        return self.certificate if self.by_published and self.certificate else self.notebook


def judge(evidence: Evidence) -> Judgement:
    """Return what is to be said of a night, and the verdict."""
    night, before, last = evidence.night, evidence.baseline, evidence.last
    same = compare(night)
    notebook = hold_against_notebook(night.selection.epochs, published.tables())
    certificate, third_party_rows = published_facts()
    few = notebook.verdict == INCONCLUSIVE
    holds = few and same.passed and same.shows(night.selection.backends)
    expected: set[Configuration] = set(last.configurations) if last else set()
    held = AgainstBaseline()
    if before is not None:
        expected |= configurations_of(before.selection.grid)
        held = against_baseline.hold(night, before, evidence.confirmation)
    problems, smoke = _problems(evidence, held, expected)
    problems += [
        Problem(
            "baseline",
            f"{each.name} departs from the reference run; freeze a new one",
            each.configuration,
        )
        for each in (outdated(held.pairs, same.departures) if held.pairs else ())
    ]
    found = Findings(problems, smoke, same, notebook, certificate if holds else None, held)
    ran = _gates(evidence, found)
    lost = gates.lost_gates(ran, last) if last else []
    problems += lost
    found = replace(found, problems=problems)
    gone = len(last.configurations - night.configurations) if last else 0
    data = gates.gate_of_data(problems, len(night.configurations), len(night.whole), smoke)
    lasting = gates.gate_of_last_night(last, len(lost) + gone, evidence.why_no_last)
    verdict, reasons = decide(evidence, found)
    return Judgement(
        verdict=verdict,
        reasons=tuple(reasons),
        gates=(data, *ran, lasting),
        problems=tuple(problems),
        notes=(
            *night.selection.left_out,
            *find_notes(night, expected),
            *odd_in_words(same),
            *held.notes,
        ),
        same=same,
        notebook=notebook,
        certificate=certificate,
        by_published=found.published is not None,
        findings=evidence.findings,
        third_party=tuple(third_party_rows),
        calibration=published_calibration(),
        pairs=held.pairs,
        comparison=held.comparison,
        changes=tuple(held.changes),
        configurations=tuple(sorted(configurations_of(night.selection.of_kind))),
        run_seconds=_run_seconds(night.selection.of_kind),
        kind=_kind(night),
        confirmation_seeds=held.confirmation_seeds,
        confirmation_folder=evidence.confirmation_folder,
    )


def _problems(
    evidence: Evidence, held: AgainstBaseline, expected: set[Configuration]
) -> tuple[list[Problem], str]:
    """Return what is wrong with a night, and how far its runs came if it is a smoke test.

    That all runs are short is no problem of a smoke test. A baseline or an earlier night say what
    a night lacks, so that it is none.
    """
    problems = find_problems(evidence.night, expected) + held.problems
    problems += [
        Problem("unreadable history", f"{name}: {reason}: delete it, or restore it")
        for name, reason in sorted(evidence.unreadable_history.items())
    ]
    alone = evidence.baseline is None and evidence.last is None
    if alone and [problem.kind for problem in problems] == [SHORT_RUNS]:
        return [], str(problems[0])
    return problems, ""


def _gates(evidence: Evidence, found: Findings) -> list[Gate]:
    """Return the gates of all tests but those of the data and of the last night."""
    deciding = found.published or found.notebook
    return [
        gates.gate_of_same_computation(found.same),
        gates.gate_of_notebook(
            deciding,
            decides=evidence.baseline is None,
            by_published=found.published is not None,
            unexpected=len(unexpected(evidence.findings, deciding)),
        ),
        *gates.gates_of_comparison(found.held),
        gates.gate_of_throughput(found.held.changes, found.held.why_not_timed),
    ]


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
