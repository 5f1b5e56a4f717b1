"""The one verdict on a night, with its reasons."""

from __future__ import annotations

from hnrnn.variants import VARIANTS
from reports.runs.completeness import SHORT_RUNS, Problem, ranges
from reports.verdict import baseline, throughput
from reports.verdict.evidence import Evidence
from reports.verdict.findings import unexpected
from reports.verdict.notebook import AGREES, DIFFERS, INCONCLUSIVE, Certificate

REGRESSED, INCOMPLETE = "regressed", "incomplete"
EXIT_CODES = {AGREES: 0, REGRESSED: 1, DIFFERS: 1, INCOMPLETE: 3, INCONCLUSIVE: 4}


def decide(
    evidence: Evidence,
    problems: list[Problem],
    notebook: Certificate,
    comparison: baseline.Comparison | None,
    changes: list[throughput.Change],
) -> tuple[str, list[str]]:
    """Return the verdict with its reasons: what cannot be judged, then what failed."""
    if problems:
        # A smoke test is inconclusive, unless an earlier night says what it lacks.
        known = evidence.baseline is not None or evidence.last is not None
        smoke = not known and {problem.kind for problem in problems} == {SHORT_RUNS}
        verdict = INCONCLUSIVE if smoke else INCOMPLETE
        failed = [] if comparison is None else _failures(evidence, comparison, changes)
        return verdict, [str(problem) for problem in problems] + failed
    if comparison is None:
        return _decide_by_notebook(evidence, notebook)
    failed = _failures(evidence, comparison, changes)
    if failed:
        return REGRESSED, failed
    if comparison.verdict == baseline.SUSPECTED:
        return INCONCLUSIVE, [
            f"{d.variant} {d.backend}: {d.measure} is suspected to be worse, {d.mean:.4f} after "
            f"{d.baseline_mean:.4f} (p {d.worse_p:.4f}); fresh seeds have to confirm it"
            for d in comparison.first.worse
        ]
    if comparison.verdict == baseline.INCONCLUSIVE:
        return INCONCLUSIVE, ["too few seeds to reject anything against the baseline"]
    return AGREES, ["nothing is worse than in the baseline"]


def _failures(
    evidence: Evidence, comparison: baseline.Comparison, changes: list[throughput.Change]
) -> list[str]:
    """Return what is worse than in the baseline, or differs where nothing may."""
    failed = [
        f"{' '.join(configuration)}: other weights than in the baseline with seeds {ranges(seeds)}"
        for configuration, seeds in comparison.changed.items()
    ]
    if comparison.verdict == baseline.REGRESSED and comparison.confirmation:
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
            f"{d.baseline_mean:.4f} (p {d.better_p:.4f}), and --strict lets improvements fail"
            for d in comparison.first.better
        ]
    return failed


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
            f"notebook's; the accepted finding has {accepted[a.variant].as_extreme} of "
            f"{accepted[a.variant].seeds}"
            for a in surprises
        ]
    few = [a.variant for a in notebook.agreements if a.verdict == INCONCLUSIVE]
    if few:
        which = "any of the tables" if len(few) == len(VARIANTS) else f"those of {', '.join(few)}"
        return INCONCLUSIVE, [
            f"too few seeds to reject {which}: {notebook.seeds_needed} per model are needed"
        ]
    known = [
        f"{a.variant} (p {a.p.table:.4f}, {a.holm.table:.4f} after Holm)"
        for a in notebook.agreements
        if a.verdict == DIFFERS
    ]
    alike = f"{len(VARIANTS) - len(known)} of the notebook's {len(VARIANTS)} tables are like ours"
    but = f"; {', '.join(known)} differs, which is an accepted finding" if known else ""
    return AGREES, [f"{alike}{but}"]
