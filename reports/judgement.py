"""Everything that is to be said of a night, and the one verdict on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from bench.records import LEARNER
from bench.store import Contents
from hnrnn import published
from hnrnn.variants import VARIANTS
from reports import baseline as baselines
from reports import speed
from reports.certificate import AGREES, DIFFERS, INCONCLUSIVE, Certificate, hold_against_notebook
from reports.completeness import Problem, Square, find_problems, of_another_kind, ranges
from reports.field import STARTS, Explained, explained, field_runs
from reports.findings import Finding, unexpected
from reports.reading import read
from reports.selection import Selection, epochs_started, of_shown_kind, select

REGRESSED, INCOMPLETE = "regressed", "incomplete"
EXIT_CODES = {AGREES: 0, REGRESSED: 1, DIFFERS: 1, INCOMPLETE: 3, INCONCLUSIVE: 4}
PUBLISHED_RUNS = Path(__file__).parent / "published" / "cpu"
"""The published set of seeds that the notebook is certified by."""


@dataclass(frozen=True)
class Judgement:
    """A night, judged.

    ``notebook`` holds tonight's seeds against the notebook, ``certificate`` the published ones,
    the same every night. ``comparison`` and ``changes`` are None and empty without a baseline.
    """

    verdict: str
    reasons: tuple[str, ...]
    problems: tuple[Problem, ...]
    notebook: Certificate
    certificate: Certificate | None
    findings: tuple[Finding, ...]
    field: tuple[Explained, ...]
    comparison: baselines.Comparison | None
    changes: tuple[speed.Change, ...]
    squares: tuple[Square, ...]
    """Every square that has runs of the judged kind tonight."""
    engine: str
    """What trained the runs that are judged, as in their column ``engine``."""
    confirmation_seeds: str | None
    """Fresh seeds for what is suspected; None where nothing is."""
    confirmation_folder: str
    """Where their runs are looked for."""

    @property
    def exit_code(self) -> int:
        """0 agrees, 1 regressed or differs, 3 incomplete or corrupt data, 4 inconclusive."""
        return EXIT_CODES[self.verdict]


@dataclass(frozen=True)
class Evidence:
    """What a night is judged by."""

    night: Contents
    baseline: Contents | None = None
    confirmation: Contents | None = None
    confirmation_folder: str = "results/confirmation"
    """Where ``confirmation`` was read, or is to be."""
    findings: tuple[Finding, ...] = ()
    strict: bool = False
    """Whether an improvement fails a night too."""


def judge(evidence: Evidence) -> Judgement:
    """Return what is to be said of a night, and the verdict."""
    night = select(evidence.night)
    tables = published.tables()
    notebook = hold_against_notebook(night.epochs, tables)
    expected: set[Square] = set()
    engine = night.kind.get("engine", LEARNER)
    comparison, changes, untimed = None, [], {}
    unlike: list[Problem] = []
    if evidence.baseline is not None:
        before = select(evidence.baseline, engine=engine)
        expected = squares_of(before.grid)
        unlike += of_another_kind(night, before, "baseline")
        confirmation = None
        if evidence.confirmation is not None:
            fresh = select(evidence.confirmation, engine=engine)
            confirmation = fresh.grid
            unlike += of_another_kind(night, fresh, "confirmation")
        comparison = baselines.hold_against_baseline(night.grid, before.grid, confirmation)
        changes = speed.changes(night.throughput, before.throughput)
        untimed = speed.not_measured(night.throughput, before.throughput)
    problems = find_problems(evidence.night, expected) + unlike
    problems += [
        Problem("missing timing", f"{' '.join(square)} has no {', '.join(phases)}", square)
        for square, phases in untimed.items()
    ]
    certificate, field = published_facts()
    verdict, reasons = _decide(evidence, problems, notebook, comparison, changes)
    suspected = comparison is not None and comparison.verdict == baselines.SUSPECTED
    return Judgement(
        verdict=verdict,
        reasons=tuple(reasons),
        problems=tuple(problems),
        notebook=notebook,
        certificate=certificate,
        findings=evidence.findings,
        field=tuple(field),
        comparison=comparison,
        changes=tuple(changes),
        squares=tuple(sorted(squares_of(of_shown_kind(evidence.night.runs)))),
        engine=engine,
        confirmation_seeds=_fresh_seeds(evidence, night) if suspected else None,
        confirmation_folder=evidence.confirmation_folder,
    )


def squares_of(runs: pd.DataFrame) -> set[Square]:
    """Return the squares that have a run."""
    return {(str(v), str(b)) for v, b in zip(runs["variant"], runs["backend"], strict=True)}


@cache
def published_facts(folder: Path = PUBLISHED_RUNS) -> tuple[Certificate | None, list[Explained]]:
    """Return the certificate by the published seeds, and what they say of other people's runs.

    None and nothing where the published runs are not there, as in an installed wheel.
    """
    if not folder.is_dir():
        return None, []
    contents = read(folder)
    tables, field = published.tables(), published.field_runs()
    ones, uniform = (epochs_started(contents, start) for start in STARTS)
    runs = field_runs(field, ones, uniform)
    return hold_against_notebook(ones, tables), explained(runs, field, tables)


def _decide(
    evidence: Evidence,
    problems: list[Problem],
    notebook: Certificate,
    comparison: baselines.Comparison | None,
    changes: list[speed.Change],
) -> tuple[str, list[str]]:
    """Return the verdict with its reasons: what cannot be judged, then what failed."""
    if problems:
        return INCOMPLETE, [str(problem) for problem in problems]
    if comparison is None:
        return _decide_by_notebook(evidence, notebook)
    failed = [
        f"{' '.join(square)}: other weights than in the baseline with seeds {ranges(seeds)}"
        for square, seeds in comparison.changed.items()
    ]
    if comparison.verdict == baselines.REGRESSED and comparison.confirmation:
        failed += [
            f"{d.variant} {d.backend}: {d.measure} is worse, {d.mean:.4f} after "
            f"{d.baseline_mean:.4f} (p {d.worse_p:.4f}), confirmed on fresh seeds"
            for d in comparison.confirmation.worse
        ]
    failed += [
        f"{c.variant} {c.backend}: {c.phase} at {c.change:.2f} of the baseline's throughput "
        f"({c.low:.2f} to {c.high:.2f})"
        for c in changes
        if c.slower
    ]
    if evidence.strict:
        failed += [
            f"{d.variant} {d.backend}: {d.measure} is better, {d.mean:.4f} after "
            f"{d.baseline_mean:.4f} (p {d.better_p:.4f}), and improvements are to fail"
            for d in comparison.first.better
        ]
    if failed:
        return REGRESSED, failed
    if comparison.verdict == baselines.SUSPECTED:
        return INCONCLUSIVE, [
            f"{d.variant} {d.backend}: {d.measure} is suspected to be worse, {d.mean:.4f} after "
            f"{d.baseline_mean:.4f} (p {d.worse_p:.4f}); fresh seeds have to confirm it"
            for d in comparison.first.worse
        ]
    if comparison.verdict == baselines.INCONCLUSIVE:
        return INCONCLUSIVE, ["too few seeds to reject anything against the baseline"]
    return AGREES, ["nothing is worse than in the baseline"]


def _decide_by_notebook(evidence: Evidence, notebook: Certificate) -> tuple[str, list[str]]:
    accepted = {finding.variant: finding for finding in evidence.findings}
    surprises = unexpected(evidence.findings, notebook)
    if surprises:
        return DIFFERS, [
            f"{a.variant}: {a.as_extreme} of {a.seeds} seeds have a table as extreme as the "
            f"notebook's (p {a.p.table:.4f}, {a.holm.table:.4f} after Holm), and no accepted "
            "finding says so"
            if a.variant not in accepted
            else f"{a.variant}: {a.as_extreme} of {a.seeds} seeds have a table as extreme as the "
            f"notebook's, where {accepted[a.variant].as_extreme} of "
            f"{accepted[a.variant].seeds} are accepted"
            for a in surprises
        ]
    few = [
        a.variant
        for a in notebook.agreements
        if a.verdict == INCONCLUSIVE and a.variant not in accepted
    ]
    if few:
        which = "any of the tables" if len(few) == len(VARIANTS) else f"those of {', '.join(few)}"
        return INCONCLUSIVE, [
            f"too few seeds to reject {which}: {notebook.seeds_needed} a model are needed"
        ]
    known = [
        f"{a.variant} (p {a.p.table:.4f}, {a.holm.table:.4f} after Holm)"
        for a in notebook.agreements
        if a.verdict == DIFFERS
    ]
    but = f", but for what is accepted: {', '.join(known)}" if known else ""
    return AGREES, [f"the notebook's tables are like those of our seeds{but}"]


def _fresh_seeds(evidence: Evidence, night: Selection) -> str:
    """Return a range of as many seeds as tonight's that neither night nor baseline has."""
    used = evidence.night.runs["seed"].max()
    if evidence.baseline is not None and len(evidence.baseline.runs):
        used = max(used, evidence.baseline.runs["seed"].max())
    count = int(night.runs["seed"].nunique())
    return f"{used + 1}-{used + count}"
