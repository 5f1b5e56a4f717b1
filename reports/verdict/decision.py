"""The one verdict on a night, with its reasons, in the order in which a night is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.runs.completeness import ANOTHER_KIND, INJECTED, REPEATED, Problem
from reports.runs.departures import NO_HASH
from reports.verdict import baseline
from reports.verdict.against_baseline import AgainstBaseline, held_run_by_run, too_few_in_words
from reports.verdict.departure import Departure
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding, unexpected
from reports.verdict.grid_test import Difference
from reports.verdict.notebook import AGREES, DIFFERS, INCONCLUSIVE, Agreement, Certificate
from reports.verdict.pairs import in_words
from reports.verdict.same_computation import (
    SameComputation,
    accepted_in_words,
    reference_of,
    summary,
    undecided_in_words,
)

REGRESSED, INCOMPLETE = "regressed", "incomplete"
OUTDATED = "baseline"
"""The kind of problem that a baseline departs from the reference, and the night does not."""
DOUBTFUL = (ANOTHER_KIND, INJECTED, REPEATED, OUTDATED)
"""Kinds of problems with which a difference of values proves nothing."""
EXIT_CODES = {AGREES: 0, REGRESSED: 1, DIFFERS: 1, INCOMPLETE: 3, INCONCLUSIVE: 4}


@dataclass(frozen=True)
class Findings:
    """What each step of the judgement has found, from which ``decide`` makes the verdict."""

    problems: Sequence[Problem]
    smoke: str
    """How far the runs of a smoke test came; empty for other nights."""
    same: SameComputation
    notebook: Certificate
    """Of tonight's seeds."""
    published: Certificate | None
    """Of the published seeds, where tonight's runs are the same computation, and are too few to
    reject anything on their own."""
    held: AgainstBaseline
    outdated: Sequence[Departure] = ()
    """Departures from the baseline of which the baseline itself is at fault."""


def decide(evidence: Evidence, found: Findings) -> tuple[str, list[str]]:
    """Return the verdict with its reasons.

    A proven failure decides, whatever is missing; incomplete data come next, then what is open.
    Whatever else is known is listed too.
    """
    others, surprises = _other_computations(found), _surprises(evidence, found)
    failures = _failures(found.held)
    sound = _beyond_doubt(found)
    certain = _failures(sound)
    problems = [str(problem) for problem in found.problems]
    few = too_few_in_words(found.held, found.same)
    unexplained = [*_unexplained(found), *few, *_held_by_nothing(evidence, found)]
    questions = _open_questions(found)
    comparison = found.held.comparison
    suspected = questions if comparison and comparison.verdict == baseline.SUSPECTED else []
    known = dict.fromkeys(
        [*others, *surprises, *certain, *problems, *failures, *unexplained, *suspected]
    )
    smoke = [found.smoke] if found.smoke and not found.published else []
    steps = (
        (DIFFERS, others + surprises, known),
        (_kind_of_failure(sound), certain, known),
        (INCOMPLETE, problems, known),
        (INCONCLUSIVE, smoke, smoke),
        (INCONCLUSIVE, unexplained or questions, [*unexplained, *suspected] or questions),
    )
    for verdict, deciding, reasons in steps:
        if deciding:
            return verdict, [*reasons]
    return AGREES, [". ".join(part[0].upper() + part[1:] for part in _agreement(found))]


def _is_in_doubt(found: Findings, variant: str, backend: str | None) -> bool:
    """Say whether the values of a configuration cannot prove a change."""
    return any(
        problem.kind in DOUBTFUL and problem.configuration in (None, (variant, backend))
        for problem in found.problems
    )


def _beyond_doubt(found: Findings) -> AgainstBaseline:
    """Return what is held against the baseline, without the values that prove nothing."""
    comparison = found.held.comparison
    if comparison is None or comparison.confirmation is None:
        return found.held
    sound = tuple(
        d
        for d in comparison.confirmation.differences
        if not _is_in_doubt(found, d.variant, d.backend)
    )
    confirmed = replace(comparison.confirmation, differences=sound)
    return replace(found.held, comparison=replace(comparison, confirmation=confirmed))


def _other_computations(found: Findings) -> list[str]:
    pairs, fresh = found.held.pairs, found.held.fresh
    return [
        *(each.sentence() for each in found.same.other_starts),
        *(each.sentence(reference_of(each)) for each in found.same.others),
        *(f"on fresh seeds, {each.sentence()}" for each in (fresh.other_starts if fresh else ())),
        *(
            f"on fresh seeds, {each.sentence(reference_of(each))}"
            for each in (fresh.others if fresh else ())
        ),
        *(
            each.sentence("the baseline's")
            for each in (pairs.others if pairs else ())
            if each not in found.outdated
        ),
    ]


def _unexplained(found: Findings) -> list[str]:
    pairs = found.held.pairs
    return [
        *(each.sentence(reference_of(each)) for each in found.same.unexplained),
        *(each.sentence("the baseline's") for each in (pairs.unexplained if pairs else ())),
        *undecided_in_words(found.same),
    ]


def _held_by_nothing(evidence: Evidence, found: Findings) -> list[str]:
    """Name the models with an accepted finding whose runs only the finding is left to hold.

    A night without any recorded initial weights is older than they are, and is held by its tables.
    """
    if set(found.same.without_reference) == {NO_HASH} and not found.same.departures:
        return []
    comparison, held = found.held.comparison, held_run_by_run(found.held, found.same)
    if comparison and comparison.first.enough:
        held |= {each.configuration for each in comparison.first.differences}
    held |= {*comparison.first.few} if comparison else set()  # they have a reason of their own
    accepted = {finding.variant for finding in evidence.findings}
    return [
        f"{a.variant} {a.backend}: its table differs by an accepted finding, and its runs have "
        "neither a reference nor seeds enough in a baseline, so nothing shows that they are the "
        "same computation"
        for a in found.notebook.agreements
        if a.variant in accepted and a.seeds and (a.variant, a.backend) not in held
    ]


def _failures(held: AgainstBaseline) -> list[str]:
    """Return what is worse than in the baseline, and what is confirmed to be better."""
    if held.comparison is None:
        return []
    failed = [
        f"{_difference(d, 'is')}, confirmed on fresh seeds"
        for d in sorted(held.comparison.confirmed, key=lambda d: not d.worse)
    ]
    return failed + _slower(held)


def _slower(held: AgainstBaseline) -> list[str]:
    return [change.sentence() for change in held.changes if change.slower]


def changes_in_words(held: AgainstBaseline) -> list[str]:
    """Return the means that differ from the baseline's, and what is slower, confirmed or not."""
    suspects = held.comparison.first.suspects if held.comparison else ()
    return [_difference(each, "is") for each in suspects] + _slower(held)


def _kind_of_failure(held: AgainstBaseline) -> str:
    """Return ``differs`` where nothing is worse: what is better is another computation too."""
    confirmed = held.comparison.confirmed if held.comparison else ()
    slower = any(change.slower for change in held.changes)
    worse = any(d.worse for d in confirmed)
    return DIFFERS if confirmed and not slower and not worse else REGRESSED


def _difference(d: Difference, is_: str) -> str:
    return (
        f"{d.variant} {d.backend}: {d.measure} {is_} {d.direction}, {d.mean:.4f} after "
        f"{d.baseline_mean:.4f} (p {d.p:.4f})"
    )


def _surprises(evidence: Evidence, found: Findings) -> list[str]:
    """Name the tables that differ from the notebook's without an accepted finding.

    With a baseline, the notebook decides only through the published seeds.
    """
    accepted = {finding.variant: finding for finding in evidence.findings}
    surprises = unexpected(evidence.findings, found.published) if found.published else []
    if found.held.comparison is None:
        surprises += [
            a
            for a in unexpected(evidence.findings, found.notebook)
            if not _is_in_doubt(found, a.variant, a.backend)
        ]
    return [_surprise(a, accepted.get(a.variant)) for a in surprises]


def _surprise(a: Agreement, accepted: Finding | None) -> str:
    alike = f"{a.variant}: {a.as_extreme} of {a.seeds} seeds have a table as extreme as the "
    if accepted is None:
        return (
            f"{alike}notebook's (p {a.p.table:.4f}, {a.holm.table:.4f} after Holm), and no "
            "accepted finding says so"
        )
    return f"{alike}notebook's; the accepted finding has {accepted.as_extreme} of {accepted.seeds}"


def _open_questions(found: Findings) -> list[str]:
    """Return what the night was too small to decide."""
    comparison, pairs = found.held.comparison, found.held.pairs
    if comparison is None:
        few = [a.variant for a in found.notebook.agreements if a.verdict == INCONCLUSIVE]
        if found.published or not few:
            return []
        which = "any of the tables" if len(few) == len(VARIANTS) else f"those of {', '.join(few)}"
        needed = found.notebook.seeds_needed
        return [f"too few seeds to reject {which}: {needed} per model are needed"]
    if comparison.verdict == baseline.SUSPECTED:
        then = "fresh seeds have to confirm it"
        if comparison.not_cleared:
            then = "fresh seeds neither confirm it nor rule it out: " + comparison.not_cleared
        return [
            f"{_difference(d, 'is suspected to be')}; {then}" for d in comparison.first.suspects
        ]
    if comparison.verdict == baseline.INCONCLUSIVE and not found.same.passed:
        why = "too few seeds to reject anything against the baseline"
        if pairs and pairs.passed:
            why = f"the runs are the baseline's, but without a reference they decide little: {why}"
        return [why]
    return []


def _agreement(found: Findings) -> list[str]:
    """Return what a night that agrees has shown, one sentence per step, without full stops."""
    comparison, pairs = found.held.comparison, found.held.pairs
    same = found.same
    parts = [f"tonight, {summary(same)}"] if same.passed and same.departures else []
    parts += [accepted_in_words(same)] if same.accepted else []
    if found.published:
        seeds = f"{sum(a.seeds for a in found.published.agreements):,}"
        tables = _tables(found.published)
        epochs = max(each.epochs for each in same.departures)
        limit = f"as far as {counted(epochs, 'epoch')} can show it, " if found.smoke else ""
        parts.append(f"{limit}what our {seeds} published runs show holds for them: {tables}")
    elif comparison is None:
        parts.append(_tables(found.notebook))
    if comparison is not None:
        parts += [in_words(pairs)] if pairs and pairs.departures else []
        few = comparison.verdict == baseline.INCONCLUSIVE
        parts.append(
            "the seeds are too few to compare means with the baseline's, which runs that are the "
            "same do not need"
            if few
            else "no mean differs from the baseline's"
        )
    return parts


def _tables(certificate: Certificate) -> str:
    """Say how many of the notebook's tables our seeds do not reject, and which they do."""
    known = [
        f"{a.variant}'s differs ({a.as_extreme} of {a.seeds} seeds are as extreme, p "
        f"{a.p.table:.4f}, {a.holm.table:.4f} after Holm), which is an accepted finding"
        for a in certificate.agreements
        if a.verdict == DIFFERS
    ]
    alike = (
        f"in {len(VARIANTS) - len(known)} of {len(VARIANTS)} tables the notebook's run cannot be "
        "told apart from our seeds"
    )
    return "; ".join([alike, *known])
