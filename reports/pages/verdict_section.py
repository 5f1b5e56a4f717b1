"""A judgement in words and tables, for the report and for a job's summary."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence

from bench.text import counted
from reports.pages.departures_section import pairs_part, same_computation_part
from reports.pages.notebook_section import certificate_part, findings_part, third_party_part
from reports.pages.tables import NO_VALUE, escape, number, paragraphs, table, table_of
from reports.statistics.power import POWER
from reports.verdict import confirmation, throughput
from reports.verdict.baseline import Comparison
from reports.verdict.findings import is_accepted
from reports.verdict.gates import NOT_RUN
from reports.verdict.grid_test import Difference
from reports.verdict.judgement import Judgement
from reports.verdict.notebook import AGREES
from reports.verdict.pairs import Pairs
from reports.verdict.rates import (
    DETECTION_EPOCHS,
    Calibration,
    false_alarms,
    found_faults,
    noticed_shifts,
)

SHOWN_AT_MOST = 20
SENTENCES = {
    AGREES: "**Agrees.**",
    "regressed": "**Regressed.**",
    "differs": "**Differs.**",
    "incomplete": "**Cannot be judged: the data are incomplete or corrupt.**",
    "inconclusive": "**Inconclusive.**",
}


def as_markdown(judgement: Judgement) -> str:
    """Return the verdict as a block of markdown for a report or a job's summary."""
    return paragraphs("## Verdict", opening(judgement), evidence(judgement)) + "\n"


def opening(judgement: Judgement) -> str:
    """Return the verdict with its reasons, and what to do."""
    text = _sentence(judgement)
    if judgement.confirmation_seeds:
        text += (
            "\n\nTo confirm or clear it, train the suspected configurations on fresh seeds, and "
            f"check again.\n\n```\n{confirmation_command(judgement)}\n```"
        )
    return text


def gates_table(judgement: Judgement) -> str:
    """Return the table of all gates with their results and reasons."""
    lines = table_of(
        judgement.gates,
        [
            ("gate", lambda gate: gate.name),
            ("result", lambda gate: gate.state),
            ("reason", lambda gate: gate.reason),
        ],
        text=("gate", "result", "reason"),
    )
    return f"### Gates\n\nA gate that did not run has shown nothing.\n\n{lines}"


def gates_line(judgement: Judgement) -> str:
    """Say which gates passed, failed or did not run; gates with the same reason share it."""
    by_state: dict[str, dict[str, list[str]]] = {}
    for gate in judgement.gates:
        why = f" ({escape(gate.reason)})" if gate.state == NOT_RUN else ""
        by_state.setdefault(gate.state, {}).setdefault(why, []).append(gate.name)
    sentences = [
        f"{state[0].upper()}{state[1:]}: "
        + "; ".join(f"{', '.join(names)}{why}" for why, names in reasons.items())
        for state, reasons in by_state.items()
    ]
    return f"**Gates.** {'. '.join(sentences)}."


def changes_since(judgement: Judgement) -> str:
    """Say in one line what changed since the baseline; empty without a baseline."""
    comparison = judgement.comparison
    if comparison is None:
        return ""
    others = judgement.pairs.others if judgement.pairs else []
    named = {
        "another computation": dict.fromkeys(each.configuration for each in others),
        "worse": dict.fromkeys(d.configuration for d in comparison.first.suspects if d.worse),
        "better": dict.fromkeys(d.configuration for d in comparison.first.suspects if not d.worse),
        "slower": dict.fromkeys((c.variant, c.backend) for c in judgement.changes if c.slower),
        "faster": dict.fromkeys((c.variant, c.backend) for c in judgement.changes if c.faster),
    }
    parts = [
        f"{what}: {', '.join(escape(' '.join(pair)) for pair in configurations) or 'none'}"
        for what, configurations in named.items()
    ]
    return f"Since the baseline: {'; '.join(parts)}."


def evidence(judgement: Judgement, *, pictured: bool = False) -> str:
    """Return what the verdict rests on, test by test.

    ``pictured`` says whether the figure of the departures lies beside the page.
    """
    findings, pairs = judgement.findings, judgement.pairs
    tonight = None if judgement.by_published else judgement.notebook
    certificates = {
        "### Tonight's seeds against the notebook": tonight,
        "### The published seeds against the notebook: the same every night": judgement.certificate,
    }
    return paragraphs(
        gates_table(judgement),
        same_computation_part(judgement.same, pictured=pictured),
        _comparison(judgement.comparison, pairs) if judgement.comparison and pairs else "",
        _changes(judgement.changes) if judgement.changes else "",
        *(certificate_part(h, c, findings) for h, c in certificates.items() if c),
        findings_part(findings) if findings else "",
        third_party_part(judgement.third_party) if judgement.third_party else "",
        _calibration(judgement.calibration) if judgement.calibration else "",
    )


def confirmation_command(judgement: Judgement) -> str:
    """Return the command that trains what is suspected with fresh seeds, to be pasted."""
    return shlex.join(confirmation_words(judgement))


def confirmation_words(judgement: Judgement) -> list[str]:
    """Return the words of that command; none where nothing is suspected."""
    if judgement.comparison is None or judgement.confirmation_seeds is None:
        return []
    configurations = list(
        dict.fromkeys(d.configuration for d in judgement.comparison.first.suspects)
    )
    seeds, folder = judgement.confirmation_seeds, judgement.confirmation_folder
    return confirmation.command_words(configurations, seeds, folder, judgement.kind)


def _sentence(judgement: Judgement) -> str:
    reasons = [escape(reason) for reason in judgement.reasons]
    heading = SENTENCES[judgement.verdict]
    if judgement.verdict == AGREES and any(
        is_accepted(judgement.findings, each) for each in judgement.deciding.agreements
    ):
        heading = "**Passes, with an accepted difference.**"
    if len(reasons) == 1:
        return f"{heading} {reasons[0][0].upper()}{reasons[0][1:]}."
    lines = [f"- {reason}" for reason in reasons[:SHOWN_AT_MOST]]
    if len(reasons) > SHOWN_AT_MOST:
        lines.append(f"- and {len(reasons) - SHOWN_AT_MOST} more")
    return f"{heading}\n\n" + "\n".join(lines)


def _comparison(comparison: Comparison, pairs: Pairs) -> str:
    first = comparison.first
    tested = (
        f"Accuracy and loss are held by a two-sided max-T permutation test over "
        f"{counted(len(first.differences), 'column')} (configurations times measures), "
        f"{first.how}. It rejects at "
        f"{first.corrected:.4f}: for 95% of baselines, a night without any change is then "
        f"suspected with a probability of at most {first.level:.0%}."
    )
    if first.few:
        tested += (
            f" {counted(len(first.few), 'configuration')} of too few seeds for it "
            f"{'is' if len(first.few) == 1 else 'are'} held run by run only."
        )
    notable = sorted(first.differences, key=lambda d: d.p)[:8]
    lines = table_of(
        notable,
        [
            ("model", lambda d: d.variant),
            ("backend", lambda d: d.backend),
            ("measure", lambda d: d.measure),
            ("p", lambda d: number(d.p)),
            ("tonight is", lambda d: d.direction),
            ("baseline", lambda d: number(d.baseline_mean)),
            ("tonight", lambda d: number(d.mean)),
            ("seeds tonight, in the baseline", lambda d: f"{d.seeds}, {d.baseline_seeds}"),
        ],
        text=("model", "backend", "measure"),
    )
    return paragraphs(
        "### Against the baseline", pairs_part(pairs), tested, _visible(first.differences), lines
    )


def _visible(differences: Sequence[Difference]) -> str:
    """Say how large a fall of the accuracy the test would have noticed."""
    drops = [d for d in differences if d.measure == "accuracy" and math.isfinite(d.visible)]
    if not drops:
        return ""
    least, most = min(drops, key=lambda d: d.visible), max(drops, key=lambda d: d.visible)
    return (
        f"With probability {POWER:g} it would have suspected a mean final accuracy that is lower "
        f"by {100 * least.visible:.1f} points ({_configuration(least)}, the fewest) to "
        f"{100 * most.visible:.1f} points ({_configuration(most)}, the most)."
    )


def _configuration(difference: Difference) -> str:
    return escape(" ".join(difference.configuration))


def _changes(changes: Sequence[throughput.Change]) -> str:
    notable = sorted(changes, key=lambda c: c.change)
    shown = [c for c in notable if c.slower or c.faster] or notable[:3]
    slower = sum(c.slower for c in changes)
    text = (
        f"{counted(len(changes), 'ratio')} to the reference backend beside the baseline's: "
        f"{slower or 'none'} slower by more than {throughput.MINIMUM_EFFECT:.0%}. Smaller changes "
        "are not judged."
    )
    lines = table_of(
        shown,
        [
            ("model", lambda c: c.variant),
            ("backend", lambda c: c.backend),
            ("phase", lambda c: c.phase),
            ("change", lambda c: f"{c.change:.2f} ({c.low:.2f} to {c.high:.2f})"),
            ("baseline", lambda c: f"{c.baseline_ratio:.2f}"),
            ("tonight", lambda c: f"{c.ratio:.2f}"),
        ],
        text=("model", "backend", "phase"),
    )
    return f"### Throughput against the baseline\n\n{text}\n\n{lines}"


def _calibration(calibration: Calibration) -> str:
    """Say how often this verdict itself is wrong, as it was measured."""
    alarms = [list(map(str, row)) for row in false_alarms(calibration.nulls)]
    shifts = [
        [f"{shift:g}", str(rate), f"{seeds}, {baseline_seeds}"]
        for shift, seeds, baseline_seeds, rate in noticed_shifts(calibration.shifted)
    ]
    faults = found_faults(calibration.detection)
    seeds = sorted({count for rates in faults.values() for count in rates})
    found = [
        [fault, *(f"{r.count} of {r.trials}" if (r := rates.get(n)) else NO_VALUE for n in seeds)]
        for fault, rates in faults.items()
    ]
    return "\n\n".join(
        [
            "### How far this verdict can be trusted",
            (
                "This check was itself tested on nights without any change, made of real seeds and "
                "each judged against a baseline of its own. Fresh seeds are seeds that the "
                "baseline lacks; repeated ones it has, from another healthy execution. Intervals "
                "are 95% "
                "Clopper-Pearson intervals. The rates are averages over baselines: most baselines "
                "have fewer false alarms, a few unlucky ones more."
            ),
            table(
                ["seeds", "gate", "nights suspected", "not cleared by fresh seeds", "failed"],
                alarms,
                text=("seeds", "gate"),
            ),
            (
                "Injected faults that depart from the reference runs after "
                f"{DETECTION_EPOCHS} epochs, of all nights in all models, by seeds per night:"
            ),
            table(["injected", *(counted(n, "seed") for n in seeds)], found, text=("injected",)),
            (
                "The test of accuracy and loss does not need a reference run. It suspected a model "
                "whose values were all worse by a part of their standard deviation over seeds:"
            ),
            table(["shift", "nights suspected", "seeds per night, in the baseline"], shifts),
        ]
    )
