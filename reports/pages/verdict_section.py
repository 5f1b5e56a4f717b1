"""A judgement in words and tables: for the report, and for a job's summary."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from bench.text import counted
from reports.pages.gates_section import gates_table
from reports.pages.tables import NO_VALUE, escape, number, table
from reports.statistics.ranks import clopper_pearson, joint_p_value
from reports.verdict import confirmation, throughput
from reports.verdict.baseline import Comparison
from reports.verdict.findings import Finding, is_accepted
from reports.verdict.judgement import Judgement
from reports.verdict.notebook import DIFFERS, Agreement, Certificate
from reports.verdict.rates import Calibration, false_alarms, rates_by_fault
from reports.verdict.stage import Difference
from reports.verdict.third_party import Explained

SHOWN_AT_MOST = 20
SENTENCES = {
    "agrees": "**Agrees.**",
    "regressed": "**Regressed.**",
    "differs": "**Differs from the notebook.**",
    "incomplete": "**Cannot be judged: the data are incomplete or corrupt.**",
    "inconclusive": "**Inconclusive.**",
}


def as_markdown(judgement: Judgement) -> str:
    """Return the verdict as a block of markdown for a report or a job's summary."""
    return "\n\n".join(["## Verdict", opening(judgement), *evidence(judgement)]) + "\n"


def opening(judgement: Judgement) -> str:
    """Return the verdict with its reasons, and what to do."""
    text = _sentence(judgement)
    if judgement.confirmation_seeds:
        text += (
            "\n\nTo confirm or clear it, train the suspected configurations on fresh seeds, and "
            f"check again.\n\n```\n{confirmation_command(judgement)}\n```"
        )
    return text


def changes_since(judgement: Judgement) -> str:
    """Say in a line what changed since the baseline; nothing without one."""
    comparison = judgement.comparison
    if comparison is None:
        return ""
    named = {
        "other weights": comparison.changed,
        "worse": dict.fromkeys(d.configuration for d in comparison.first.worse),
        "better": dict.fromkeys(d.configuration for d in comparison.first.better),
        "slower": dict.fromkeys((c.variant, c.backend) for c in judgement.changes if c.slower),
        "faster": dict.fromkeys((c.variant, c.backend) for c in judgement.changes if c.faster),
    }
    parts = [
        f"{what}: {', '.join(escape(' '.join(pair)) for pair in configurations) or 'none'}"
        for what, configurations in named.items()
    ]
    return f"Since the baseline: {'; '.join(parts)}."


def evidence(judgement: Judgement) -> list[str]:
    """Return what the verdict rests on, test by test."""
    parts = [gates_table(judgement)]
    if judgement.comparison:
        parts.append(_comparison(judgement.comparison))
    if judgement.changes:
        parts.append(_changes(judgement.changes))
    certificates = {"### Tonight's seeds against the notebook": judgement.notebook}
    if judgement.certificate:
        heading = "### The published seeds against the notebook: the same every night"
        certificates[heading] = judgement.certificate
    parts += [_certificate(h, c, judgement.findings) for h, c in certificates.items()]
    if judgement.findings:
        parts.append(_findings(judgement.findings))
    if judgement.third_party:
        parts.append(_third_party(judgement.third_party))
    if judgement.calibration:
        parts.append(_calibration(judgement.calibration))
    return parts


def confirmation_command(judgement: Judgement) -> str:
    """Return the command that trains what is suspected with fresh seeds, to be pasted."""
    return shlex.join(confirmation_words(judgement))


def confirmation_words(judgement: Judgement) -> list[str]:
    """Return the words of that command, for programs; none where nothing is suspected."""
    if judgement.comparison is None or judgement.confirmation_seeds is None:
        return []
    configurations = list(dict.fromkeys(d.configuration for d in judgement.comparison.first.worse))
    seeds, folder = judgement.confirmation_seeds, judgement.confirmation_folder
    return confirmation.command_words(configurations, seeds, folder, judgement.kind)


def _sentence(judgement: Judgement) -> str:
    reasons = [escape(reason) for reason in judgement.reasons]
    if len(reasons) == 1:
        return f"{SENTENCES[judgement.verdict]} {reasons[0][0].upper()}{reasons[0][1:]}."
    lines = [f"- {reason}" for reason in reasons[:SHOWN_AT_MOST]]
    if len(reasons) > SHOWN_AT_MOST:
        lines.append(f"- and {len(reasons) - SHOWN_AT_MOST} more")
    return f"{SENTENCES[judgement.verdict]}\n\n" + "\n".join(lines)


def _comparison(comparison: Comparison) -> str:
    first = comparison.first
    same = (
        f"{counted(comparison.same_runs, 'run')} of the baseline "
        f"{'was' if comparison.same_runs == 1 else 'were'} repeated tonight. The weights of "
        f"{comparison.held_runs} could be compared; "
        f"{sum(map(len, comparison.changed.values()))} ended with other weights."
    )
    tested = (
        f"Accuracy and loss are held by a max-T permutation test over "
        f"{counted(len(first.differences), 'column')} (configurations times measures), "
        f"{'seed by seed' if first.paired else 'between independent seeds'}. It rejects at "
        f"{first.corrected:.4f}: for 95% of baselines, a night without any change is then "
        f"suspected with a probability of at most {first.level:.0%}."
    )
    notable = sorted(first.differences, key=lambda d: min(d.worse_p, d.better_p))[:8]
    rows = [
        [
            d.variant,
            d.backend,
            d.measure,
            number(d.worse_p),
            number(d.better_p),
            number(d.baseline_mean),
            number(d.mean),
            f"{d.seeds}, {d.baseline_seeds}",
        ]
        for d in notable
    ]
    header = [
        "model", "backend", "measure", "p worse", "p better", "baseline", "tonight",
        "seeds tonight, in the baseline",
    ]  # fmt: skip
    parts = ["### Against the baseline", same, tested, _visible(first.differences)]
    parts.append(table(header, rows, text=header[:3]))
    return "\n\n".join(part for part in parts if part)


def _visible(differences: Sequence[Difference]) -> str:
    """Say which fall of the accuracy the test would have seen."""
    drops = [d for d in differences if d.measure == "accuracy" and math.isfinite(d.visible)]
    if not drops:
        return ""
    least, most = min(drops, key=lambda d: d.visible), max(drops, key=lambda d: d.visible)
    return (
        "With probability 0.9 it would have suspected a mean final accuracy that is lower by "
        f"{100 * least.visible:.1f} points ({_configuration(least)}, the fewest) to "
        f"{100 * most.visible:.1f} points ({_configuration(most)}, the most)."
    )


def _configuration(difference: Difference) -> str:
    return escape(" ".join(difference.configuration))


def _changes(changes: Sequence[throughput.Change]) -> str:
    notable = sorted(changes, key=lambda c: c.change)
    shown = [c for c in notable if c.slower or c.faster] or notable[:3]
    rows = [
        [c.variant, c.backend, c.phase, f"{c.change:.2f} ({c.low:.2f} to {c.high:.2f})",
         f"{c.baseline_ratio:.2f}", f"{c.ratio:.2f}"]
        for c in shown
    ]  # fmt: skip
    slower = sum(c.slower for c in changes)
    text = (
        f"{counted(len(changes), 'ratio')} to the reference backend beside the baseline's: "
        f"{slower or 'none'} slower by more than {throughput.MINIMUM_EFFECT:.0%}. Smaller changes "
        "are not judged."
    )
    header = ["model", "backend", "phase", "change", "baseline", "tonight"]
    lines = table(header, rows, text=header[:3])
    return f"### Throughput against the baseline\n\n{text}\n\n{lines}"


def verdict_of(agreement: Agreement, findings: Sequence[Finding]) -> str:
    """Return the verdict on a variant's table, and whether it is accepted."""
    return f"{agreement.verdict}{', accepted' if is_accepted(findings, agreement) else ''}"


def joint_sentence(certificate: Certificate, findings: Sequence[Finding]) -> str:
    """Say what all tables give together, and without those that differ and are accepted."""
    tested = [a for a in certificate.agreements if a.seeds]
    if not tested:
        return ""
    together = f"Together, the {len(tested)} tables give p {certificate.joint_p:.4f} (Fisher)"
    accepted = [a.variant for a in tested if is_accepted(findings, a)]
    if not accepted:
        return f"{together}."
    rest = joint_p_value([a.p.table for a in tested if a.variant not in accepted])
    names = ", ".join(accepted)
    return (
        f"{names} differs: this is an accepted finding and does not fail the night."
        f" {together}, and p {rest:.4f} without {names}."
    )


def _certificate(heading: str, certificate: Certificate, findings: Sequence[Finding]) -> str:
    rows = [_agreement(agreement, findings) for agreement in certificate.agreements]
    header = [
        "model", "verdict", "table: p", "Holm", "seeds as extreme", "their share, 95%",
        "accuracy: p", "Holm", "final accuracy: p", "Holm", "seeds", "on backend",
    ]  # fmt: skip
    differing = [a.variant for a in certificate.agreements if a.verdict == DIFFERS]
    rarest = min(
        (a for a in certificate.agreements if a.seeds), key=lambda a: a.p.table, default=None
    )
    text = "There are no runs of full recipes."
    if rarest is not None:
        text = (
            f"Tables that differ at the {certificate.level:.0%} level: "
            f"{', '.join(differing) or 'none'}. The rarest is that of {rarest.variant}: "
            f"{rarest.as_extreme} of our {rarest.seeds} seeds are as extreme (p "
            f"{rarest.p.table:.4f}, {rarest.holm.table:.4f} after Holm). "
            f"{joint_sentence(certificate, findings)} It takes {certificate.seeds_needed} seeds "
            "per model to reject a table at all: with fewer the verdict is inconclusive."
        )
    return "\n\n".join(
        [heading, text, table(header, rows, text={"model", "verdict", "on backend"})]
    )


def _agreement(agreement: Agreement, findings: Sequence[Finding]) -> list[str]:
    tests = [
        (number(getattr(agreement.p, name)), number(getattr(agreement.holm, name)))
        for name in ("table", "accuracy", "final_accuracy")
    ]
    extreme = [NO_VALUE, NO_VALUE]
    if agreement.seeds:
        share = f"{agreement.share_low:.4f} to {agreement.share_high:.4f}"
        extreme = [str(agreement.as_extreme), share]
    about = [agreement.variant, verdict_of(agreement, findings)]
    where = [str(agreement.seeds), agreement.backend or NO_VALUE]
    return [*about, *tests[0], *extreme, *tests[1], *tests[2], *where]


def _findings(findings: Sequence[Finding]) -> str:
    lines = []
    for finding in findings:
        low, high = clopper_pearson(finding.as_extreme, finding.seeds)
        lines.append(
            f"- {finding.variant}: {finding.as_extreme} of {finding.seeds} seeds as extreme "
            f"(p {finding.p_value:.4f}; the share is between {low:.4f} and {high:.4f}). "
            f"{escape(finding.reason)}"
        )
    return "### Accepted findings\n\n" + "\n".join(lines)


def _calibration(calibration: Calibration) -> str:
    """Say how often this verdict itself is wrong, as measured."""
    nulls = calibration.nulls
    suspected, failed = false_alarms(nulls)
    parts = [
        "### How far this verdict can be trusted",
        (
            "This check was itself tested on nights without any change, made of real seeds and "
            f"judged against {counted(nulls['baseline'].nunique(), 'baseline')}. It suspected {suspected}; "
            f"after confirmation on fresh seeds it failed {failed}. Intervals are 95% "
            "Clopper-Pearson intervals."
        ),
    ]
    if calibration.faults is not None:
        rows = [
            [injected_fault, str(fails), str(noticed), str(seeds), variants]
            for injected_fault, variants, seeds, noticed, fails in rates_by_fault(
                calibration.faults
            )
        ]
        header = ["injected", "nights failed", "nights noticed", "seeds per night", "injected into"]
        parts += [
            (
                "And on nights in which some variants were trained with an injected fault, or with "
                "a control that changes nothing that matters."
            ),
            table(header, rows, text=("injected", "injected into")),
        ]
    return "\n\n".join(parts)


def _third_party(rows: Sequence[Explained]) -> str:
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
    return "\n\n".join(["### Other people's runs", text, table(header, cells, text=("model",))])
