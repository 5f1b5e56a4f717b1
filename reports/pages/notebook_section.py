"""The parts of a verdict on the notebook: its tables, accepted findings, other people's runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from reports.pages.tables import NO_VALUE, escape, number, table, table_of
from reports.statistics.ranks import clopper_pearson, joint_p_value
from reports.verdict.findings import Finding, is_accepted
from reports.verdict.notebook import DIFFERS, Agreement, Certificate
from reports.verdict.third_party import Outcomes, ThirdParty

OUTCOMES = ("ones only", "uniform only", "undecided", "neither")


def verdict_of(agreement: Agreement, findings: Sequence[Finding]) -> str:
    """Return the verdict on a variant's table, and whether it is accepted."""
    return f"{agreement.verdict}{', accepted' if is_accepted(findings, agreement) else ''}"


def joint_sentence(certificate: Certificate, findings: Sequence[Finding]) -> str:
    """Say what all tables give together, and without those that differ."""
    tested = [a for a in certificate.agreements if a.seeds]
    if not tested:
        return ""
    names = ", ".join(a.variant for a in tested if a.verdict == DIFFERS)
    accepted = ", ".join(a.variant for a in tested if is_accepted(findings, a))
    text = f"{accepted} differs: an accepted finding, which fails no night. " if accepted else ""
    text += f"Fisher's joint p-value of {len(tested)} tables is {certificate.joint_p:.4f}"
    others = [a.p.table for a in tested if a.verdict != DIFFERS]
    if names and others:
        text += f", and {joint_p_value(others):.4f} without {names}"
    return f"{text}."


def certificate_part(heading: str, certificate: Certificate, findings: Sequence[Finding]) -> str:
    """Return the tests of all eight tables, with what they say together."""
    lines = table_of(
        certificate.agreements,
        [
            ("model", lambda a: a.variant),
            ("verdict", lambda a: verdict_of(a, findings)),
            ("table: p", lambda a: number(a.p.table)),
            ("Holm", lambda a: number(a.holm.table)),
            ("seeds as extreme", lambda a: str(a.as_extreme) if a.seeds else NO_VALUE),
            ("their share, 95%", _share),
            ("by area, not deciding: p", lambda a: number(a.p.table_by_area)),
            ("Holm", lambda a: number(a.holm.table_by_area)),
            ("accuracy: p", lambda a: number(a.p.accuracy)),
            ("Holm", lambda a: number(a.holm.accuracy)),
            ("final accuracy: p", lambda a: number(a.p.final_accuracy)),
            ("Holm", lambda a: number(a.holm.final_accuracy)),
            ("seeds", lambda a: str(a.seeds)),
            ("on backend", lambda a: a.backend or NO_VALUE),
        ],
        text=("model", "verdict", "on backend"),
    )
    differing = [a.variant for a in certificate.agreements if a.verdict == DIFFERS]
    tested = [a for a in certificate.agreements if a.seeds]
    text = "There are no runs of full recipes."
    if tested:
        rarest = min(tested, key=lambda a: a.p.table)
        text = (
            f"Tables that differ at the {certificate.level:.0%} level: "
            f"{', '.join(differing) or 'none'}. The rarest is that of {rarest.variant}: "
            f"{rarest.as_extreme} of our {rarest.seeds} seeds are as extreme (p "
            f"{rarest.p.table:.4f}, {rarest.holm.table:.4f} after Holm). "
            f"{joint_sentence(certificate, findings)} It takes {certificate.seeds_needed} seeds "
            "per model to reject a table at all: with fewer the verdict is inconclusive."
        )
    return f"{heading}\n\n{text}\n\n{lines}"


def _share(agreement: Agreement) -> str:
    if not agreement.seeds:
        return NO_VALUE
    return f"{agreement.share_low:.4f} to {agreement.share_high:.4f}"


def findings_part(findings: Sequence[Finding]) -> str:
    """Return the accepted findings, with their reasons."""
    lines = []
    for finding in findings:
        low, high = clopper_pearson(finding.as_extreme, finding.seeds)
        lines.append(
            f"- {finding.variant}: {finding.as_extreme} of {finding.seeds} seeds as extreme "
            f"(p {finding.p_value:.4f}; the share is between {low:.4f} and {high:.4f}). "
            f"{escape(finding.reason)}"
        )
    return "### Accepted findings\n\n" + "\n".join(lines)


def third_party_part(third_party: ThirdParty) -> str:
    """Return which start of the BatchNorm weights explains other people's runs, and how surely."""
    rows = third_party.by_variant
    total = Outcomes(*np.sum([astuple(row.published) for row in rows], axis=0).tolist())
    by_variant = [
        [
            row.variant,
            *_counts(row.published),
            f"{row.notebook_rank:g} of {row.published.runs + 1}",
            number(row.notebook_accuracy_p),
            number(row.notebook_table_p),
        ]
        for row in rows
    ]
    by_variant.append(["all", *_counts(total), NO_VALUE, NO_VALUE, NO_VALUE])
    places = ["notebook's rank among them", "its accuracy's p", "its table's p"]
    by_era = [[era, *_counts(found)] for era, found in third_party.by_era.items()]
    own = [
        [row.variant, start, str(found.runs), *_shares(found)]
        for row in rows
        for start, found in (("ones", row.ones_seeds), ("uniform", row.uniform_seeds))
    ]
    text = (
        "Other people published runs of the same models, mostly without their version of PyTorch. "
        "A run is compatible with a start of the BatchNorm weights, at 1 (`ones`) or drawn from "
        "U(0, 1) (`uniform`), where the whole-table test does not reject it at 5% among our seeds "
        "with that start. A run that is compatible with both is undecided."
    )
    dates = (
        "By the date of the commit that published them. Before PyTorch 1.2 every run started "
        "uniformly; later ones may have been made with any version."
    )
    errors = (
        "How often this is right: our own seeds, each held against all others as if it were "
        "another's run. At 5%, one in 20 is rejected by its own start. Where many seeds of one "
        "start are compatible with the other, a single run of that model decides little."
    )
    return "\n\n".join(
        [
            "### Third-party runs",
            text,
            table(["model", "runs", *OUTCOMES, *places], by_variant, text=("model",)),
            dates,
            table(["committed", "runs", *OUTCOMES], by_era, text=("committed",)),
            errors,
            table(["model", "start", "our seeds", *OUTCOMES], own, text=("model", "start")),
        ]
    )


def _counts(found: Outcomes) -> list[str]:
    return [str(found.runs), *map(str, astuple(found))]


def _shares(found: Outcomes) -> list[str]:
    return [f"{count / found.runs:.0%}" if found.runs else NO_VALUE for count in astuple(found)]
