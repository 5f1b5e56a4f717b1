"""The parts of a verdict on the notebook: its tables, accepted findings, other people's runs."""

from __future__ import annotations

from collections.abc import Sequence

from reports.pages.tables import NO_VALUE, escape, number, table, table_of
from reports.statistics.ranks import clopper_pearson, joint_p_value
from reports.verdict.findings import Finding, is_accepted
from reports.verdict.notebook import DIFFERS, Agreement, Certificate
from reports.verdict.third_party import Explained


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


def third_party_part(rows: Sequence[Explained]) -> str:
    """Return which start of the BatchNorm weights explains other people's runs."""
    cells = [
        [
            row.variant,
            str(row.runs),
            str(row.by_ones),
            str(row.by_uniform),
            str(row.by_both),
            str(row.by_neither),
            f"{row.notebook_rank:g} of {row.runs + 1}",
            number(row.notebook_accuracy_p),
            number(row.notebook_table_p),
        ]
        for row in rows
    ]
    sums = [sum(getattr(row, name) for row in rows) for name in
            ("runs", "by_ones", "by_uniform", "by_both", "by_neither")]  # fmt: skip
    cells.append(["all", *map(str, sums), NO_VALUE, NO_VALUE, NO_VALUE])
    header = [
        "model", "published runs", "explained by ones", "by uniform", "by both", "by neither",
        "notebook's rank among them", "its accuracy's p", "its table's p",
    ]  # fmt: skip
    text = (
        "Other people published runs of the same models, mostly without their version of PyTorch. "
        "A start of the BatchNorm weights, at 1 (`ones`) or drawn from U(0, 1) (`uniform`), "
        "explains a run where the whole-table test does not reject it at 5% among our published "
        "seeds with that start."
    )
    return "\n\n".join(["### Third-party runs", text, table(header, cells, text=("model",))])
