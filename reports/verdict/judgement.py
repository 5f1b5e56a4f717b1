"""Everything that is to be said of a night, and the one verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd

from bench.store.records import ENSEMBLE
from hnrnn import published
from hnrnn.departures import UNEXPLAINED
from reports.runs.completeness import SHORT_RUNS, Problem, find_notes, find_problems, ranges
from reports.runs.night import Configuration, Night, configurations_of
from reports.runs.reading import read
from reports.runs.selection import with_runs
from reports.runs.timings import MISSING_TIMING, lost_since
from reports.verdict import against_baseline, gates, throughput
from reports.verdict.against_baseline import AgainstBaseline
from reports.verdict.baseline import Comparison
from reports.verdict.decision import EXIT_CODES, OUTDATED, Findings, decide
from reports.verdict.departure import Departure
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding, unexpected
from reports.verdict.gates import Gate
from reports.verdict.notebook import INCONCLUSIVE, Certificate, hold_against_notebook
from reports.verdict.pairs import Pairs, Partners, outdated
from reports.verdict.rates import Calibration, published_calibration
from reports.verdict.same_computation import SameComputation, compare, odd_in_words
from reports.verdict.third_party import ThirdParty, explain, read_published

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
    third_party: ThirdParty | None
    """Which start explains other people's runs; None where that is not installed."""
    calibration: Calibration | None
    """How often this judgement errs, as measured; None where that is not installed."""
    pairs: Pairs | None
    comparison: Comparison | None
    changes: tuple[throughput.Change, ...]
    configurations: tuple[Configuration, ...]
    """Every configuration that has runs of the judged kind tonight."""
    ensemble_seeds: str
    """The seeds of the ensembles' runs of that kind, as in ``0-99,1000000-1000099``."""
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
    expected: set[Configuration] = set(last.configurations) if last else set()
    held, partners = AgainstBaseline(), Partners()
    if before is not None:
        expected |= configurations_of(before.selection.grid)
        held = against_baseline.hold(night, before, evidence.confirmation, evidence.accepted)
        partners = Partners.of(night, before)
    same = compare(night, evidence.accepted, partners)
    held, at_fault = _settle(evidence, same, held, partners)
    notebook = hold_against_notebook(night.selection.epochs, published.tables())
    certificate, third_party = published_facts()
    few = notebook.verdict == INCONCLUSIVE
    holds = few and same.passed and same.shows(night.selection.backends)
    problems, smoke = _problems(evidence, held, expected)
    problems += [
        Problem(
            OUTDATED,
            f"{each.name} departs from the reference run; freeze a new one",
            each.configuration,
        )
        for each in at_fault
    ]
    by = certificate if holds else None
    found = Findings(problems, smoke, same, notebook, by, held, at_fault)
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
            *filter(None, [held.pairs.not_repeated if held.pairs else ""]),
            *_restored(evidence, same),
        ),
        same=same,
        notebook=notebook,
        certificate=certificate,
        by_published=found.published is not None,
        findings=evidence.findings,
        third_party=third_party,
        calibration=published_calibration(),
        pairs=held.pairs,
        comparison=held.comparison,
        changes=tuple(held.changes),
        configurations=tuple(sorted(configurations_of(night.selection.of_kind))),
        ensemble_seeds=_ensemble_seeds(night.selection.of_kind),
        run_seconds=_run_seconds(night.selection.of_kind),
        kind=_kind(night),
        confirmation_seeds=held.confirmation_seeds,
        confirmation_folder=evidence.confirmation_folder,
    )


def _settle(
    evidence: Evidence, same: SameComputation, held: AgainstBaseline, partners: Partners
) -> tuple[AgainstBaseline, tuple[Departure, ...]]:
    """Return what is held against the baseline, and the departures of which it is at fault.

    It is where nobody accepted it, and it departs from the reference, unlike the night. Where both
    are the same as the reference, and yet apart, the departure is unexplained.
    """
    accepted = evidence.accepted.from_reference if evidence.accepted else ()
    found = outdated(held.pairs, same.departures) if held.pairs else []
    found = [each for each in found if each.name not in accepted]
    if not (found and held.pairs and evidence.baseline):
        return held, ()
    contents = evidence.baseline.contents
    own = contents.runs["run_id"].isin(partners.theirs)
    then = compare(Night.of(with_runs(contents, contents.runs[own]), like=evidence.night))
    wrong = {each.name for each in (*then.others, *then.unexplained)}
    alike = {each.name for each in then.departures} - wrong
    departures = tuple(
        replace(each, verdict=UNEXPLAINED) if each in found and each.name in alike else each
        for each in held.pairs.departures
    )
    at_fault = tuple(each for each in found if each.name not in alike)
    return replace(held, pairs=replace(held.pairs, departures=departures)), at_fault


def _restored(evidence: Evidence, same: SameComputation) -> list[str]:
    """Name the accepted configurations that no longer depart from the reference."""
    accepted = evidence.accepted
    return [
        f"{each.name} was accepted as another computation than the reference ({accepted.reason}), "
        "and computes what the reference does again. If that is intended, accept this night too."
        for each in (same.departures if accepted else ())
        if accepted and each.name in accepted.from_reference
    ]


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
    if evidence.last and not any(problem.kind == MISSING_TIMING for problem in problems):
        tonight = evidence.night.selection
        timed, when = evidence.last.timed, evidence.last.night
        problems += lost_since(tonight.throughput, tonight.runs, timed, when)
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
        gates.gate_of_throughput(
            found.held.changes, found.held.why_not_timed, found.held.why_not_absolute
        ),
    ]


def _kind(night: Night) -> dict[str, str]:
    """Return what the runs of a night have in common, as in ``Judgement.kind``."""
    first = night.selection.runs[["device", "injected_fault"]].head(1).to_dict(orient="records")
    found = {str(name): value for row in first for name, value in row.items()}
    common = {name: str(value) for name, value in found.items() if pd.notna(value)}
    return night.selection.kind | common


def _ensemble_seeds(runs: pd.DataFrame) -> str:
    return ranges(runs.loc[runs["backend"] == ENSEMBLE, "seed"].unique()).replace(", ", ",")


def _run_seconds(runs: pd.DataFrame) -> dict[Configuration, float]:
    seconds: dict[Configuration, float] = {}
    for row in runs[["variant", "backend", "total_seconds"]].to_dict(orient="records"):
        configuration = (str(row["variant"]), str(row["backend"]))
        seconds[configuration] = seconds.get(configuration, 0.0) + float(row["total_seconds"])
    return seconds


@cache
def published_facts(folder: Path = PUBLISHED_RUNS) -> tuple[Certificate | None, ThirdParty | None]:
    """Return the certificate by the published seeds, and what is known of other people's runs.

    None where the published results are not there, as in an installed wheel without them.
    """
    tables, found = published.tables(), read_published()
    third_party = explain(*found, published.third_party_runs(), tables) if found else None
    if not folder.is_dir():
        return None, third_party
    ones = Night.of(read(folder)).selection.epochs
    return hold_against_notebook(ones, tables), third_party
