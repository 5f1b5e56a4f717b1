"""``report.md``: the notebook's tables beside ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.plan.grid import BACKENDS
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.history.past import Past
from reports.pages import backend_section, provenance, variant_section, verdict_section
from reports.pages.gates_section import gates_line
from reports.pages.history_section import history_section
from reports.pages.tables import (
    NO_VALUE,
    Markup,
    escape,
    interval,
    number,
    rank,
    table,
)
from reports.runs.comparison import Comparison, expected_share_outside
from reports.runs.night import Night
from reports.runs.ratios import Ratio
from reports.runs.selection import JOINT, Selection
from reports.verdict.judgement import Judgement
from reports.verdict.notebook import Agreement

TITLE = "# The human-numbers notebook, reproduced"


@dataclass(frozen=True)
class Material:
    """What a report is made of."""

    night: Night
    comparisons: Sequence[Comparison]
    tables: pd.DataFrame
    """The notebook's tables."""
    third_party: pd.DataFrame
    """Other people's runs."""
    judgement: Judgement
    ratios: Sequence[Ratio]
    """Of the latest measurement of each variant."""
    past: Past | None = None
    """Earlier nights, where a history folder is given."""


def report(material: Material) -> str:
    """Return the whole report; its pictures are PNGs beside it."""
    selection, judgement = material.night.selection, material.judgement
    agreements = {a.variant: a for a in judgement.notebook.agreements}
    parts = [TITLE, *_first_screen(material), _reading_guide(selection)]
    parts += [_notes(notes)] if (notes := selection.left_out + selection.notes) else []
    parts.append("![Final accuracy of the eight models](overview.png)")
    parts += [
        variant_section.section(
            variant,
            selection,
            material.comparisons,
            material.tables,
            material.third_party,
            agreements[variant.name],
        )
        for variant in VARIANTS.values()
    ]
    parts.append(backend_section.section(selection, material.tables))
    if len(material.night.uniform_epochs):
        parts.append(_eras(material))
    if material.past is not None:
        past = material.past
        parts.append(history_section(past.nights, past.unreadable, past.test, past.pictures))
    parts += ["## What the verdict rests on", *verdict_section.evidence(judgement)]
    parts.append(provenance.section(selection.runs))
    return "\n\n".join(parts) + "\n"


def summary(material: Material) -> str:
    """Return one screen for a job's summary: the verdict, the eight models, the backends."""
    left_out = [escape(note) for note in material.night.selection.left_out]
    parts = [TITLE, *_first_screen(material), *left_out]
    # A job's page has no sections that a link could lead to.
    return re.sub(r"\[(Model\d)\]\(#\w+\)", r"\1", "\n\n".join(parts)) + "\n"


def _first_screen(material: Material) -> list[str]:
    parts = [
        verdict_section.opening(material.judgement),
        gates_line(material.judgement),
        _opening(material.night.selection, material.comparisons),
        _summary_table(material.comparisons, material.judgement.notebook.agreements),
    ]
    parts += [_throughput(material.ratios)] if material.ratios else []
    changes = verdict_section.changes_since(material.judgement)
    return [*parts, changes] if changes else parts


def _eras(material: Material) -> str:
    least = material.night.uniform_epochs.groupby("variant")["seed"].nunique().min()
    return (
        "## Two eras of PyTorch\n\n"
        "Before PyTorch 1.2 the weights of BatchNorm were drawn from U(0, 1); since then they "
        f"start at 1. Beside the seeds above, {counted(int(least), 'seed')} or more a model that "
        "start the old way. A table further down counts which start explains other people's "
        "runs.\n\n"
        "![Final training loss and accuracy of both starts](eras.png)"
    )


def _throughput(found: Sequence[Ratio]) -> str:
    """Return the ratios of the training step, a row a variant and a column a backend."""
    step = {
        (r.variant, r.backend): r for r in found if r.phase == "train_step" and not r.aa_control
    }
    backends = [name for name in BACKENDS if any(backend == name for _, backend in step)]
    rows = [
        [
            variant,
            *(
                f"{step[variant, name].ratio:.2f}" if (variant, name) in step else NO_VALUE
                for name in backends
            ),
        ]
        for variant in VARIANTS
        if any(name == variant for name, _ in step)
    ]
    return (
        "Tokens a second of a training step, as ratios to `nn` (`custom` for the first four):\n\n"
        + table(["model", *backends], rows, left=1)
    )


def _opening(selection: Selection, comparisons: Sequence[Comparison]) -> str:
    held = [comparison for comparison in comparisons if comparison.seeds]
    if not held:
        return (
            "There are no finished runs to show: `python -m bench run` makes some. The notebook's "
            "own values follow."
        )
    counts = selection.runs.groupby("variant")["seed"].nunique()
    fewest, most = counts.min(), counts.max()
    seeds = f"{fewest} to {most} seeds" if fewest < most else counted(most, "seed")
    out = sum(comparison.outside for comparison in held)
    sentences = [
        (
            f"{counted(len(selection.runs), 'run')}: {len(counts)} of the notebook's "
            f"{len(VARIANTS)} models, {seeds} each."
        ),
        (
            f"Of the {len(held)} published values that they can be held against, {out} lie outside "
            f"the central 95% of our seeds ({out / len(held):.0%}). About "
            f"{expected_share_outside(held):.0%} would if the notebook's run were one more of so "
            "many seeds; but the values of one run are not independent: a run that is unusual in "
            "one row is so in its neighbours."
        ),
    ]
    missing = [name for name in VARIANTS if name not in counts.index]
    if missing:
        sentences.append(f"No runs of {', '.join(missing)}.")
    return " ".join(sentences)


def _summary_table(comparisons: Sequence[Comparison], agreements: Sequence[Agreement]) -> str:
    at = {(c.variant, c.epoch, c.measure): c for c in comparisons}
    rows = []
    for variant, agreement in zip(VARIANTS.values(), agreements, strict=True):
        accuracy = at[variant.name, variant.epochs - 1, "accuracy"]
        rows.append(
            [
                Markup(f"[{variant.name}](#{variant.name.lower()})"),
                agreement.verdict,
                number(agreement.p.table),
                f"{accuracy.notebook:.4f}",
                number(accuracy.median),
                interval(accuracy),
                rank(accuracy),
                str(accuracy.seeds),
                variant.description,
            ]
        )
    header = [
        "model", "verdict", "p of its table", "final accuracy: notebook", "median", "95%", "rank",
        "seeds", "what it is",
    ]  # fmt: skip
    return table(header, rows, left=2)


def _reading_guide(selection: Selection) -> str:
    shared = (
        " Here many seeds were trained at once: seconds of an epoch are one seed's share of them."
        if set(selection.backends.values()) & set(JOINT)
        else ""
    )
    return (
        "**How to read the tables.** A model's first table is the notebook's, with the median of "
        "our seeds beside each value (*ours*); *time* is seconds an epoch, the notebook's machine "
        "beside this one. The second says where the notebook's values lie: *95%* is from the 2.5% "
        "to the 97.5% quantile of our seeds, and *rank* is the notebook's when it is put among our "
        f"N seeds, from 1 (below all of ours) to N + 1 (above all of ours).{shared}"
    )


def _notes(notes: Sequence[str]) -> str:
    return "**Not in the tables**\n\n" + "\n".join(f"- {escape(note)}" for note in notes)
