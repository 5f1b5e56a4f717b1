"""``report.md``: the notebook's tables beside ours."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.plan.grid import BACKENDS
from bench.text import counted
from hnrnn import departures
from hnrnn.variants import VARIANTS
from reports.history.past import Past
from reports.pages import backend_section, provenance, variant_section, verdict_section
from reports.pages.history_section import history_section
from reports.pages.material import Material
from reports.pages.notebook_section import joint_sentence, verdict_of
from reports.pages.tables import (
    NO_VALUE,
    Markup,
    escape,
    interval,
    number,
    paragraphs,
    rank,
    table,
    table_of,
)
from reports.runs.comparison import Comparison, expected_share_outside
from reports.runs.ratios import Ratio
from reports.runs.selection import JOINT, Selection
from reports.verdict.judgement import Judgement

TITLE = "# The human-numbers notebook, reproduced"
AGREES = (
    "A table *agrees* where our seeds do not reject the notebook's one run. More than that one run "
    "cannot show: several faults would agree too."
)


def report(material: Material) -> str:
    """Return the whole report; its pictures are PNGs beside it."""
    selection, past = material.selection, material.past
    text = paragraphs(
        TITLE,
        _first_screen(material),
        _reading_guide(selection),
        _notes(selection),
        "![Final accuracy of the eight models](overview.png)",
        *(variant_section.section(variant, material) for variant in VARIANTS.values()),
        backend_section.section(selection, material.tables),
        _eras(material) if len(material.night.uniform_epochs) else "",
        _history(past) if past else "",
        "## What the verdict rests on",
        verdict_section.evidence(material.judgement, pictured=len(material.cells) > 0),
        provenance.section(selection.runs),
    )
    return f"{text}\n"


def _history(past: Past) -> str:
    return history_section(past.nights, past.unreadable, past.test, past.pictures, past.shifts)


def summary(material: Material) -> str:
    """Return one screen for a job's summary: the verdict, the eight models, the backends."""
    left_out = map(escape, material.selection.left_out)
    text = paragraphs(TITLE, _first_screen(material), *left_out)
    # A job's page has no sections that a link could lead to.
    return re.sub(r"\[(Model\d)\]\(#\w+\)", r"\1", text) + "\n"


def _first_screen(material: Material) -> str:
    judgement = material.judgement
    return paragraphs(
        verdict_section.opening(judgement),
        _summary_table(material.comparisons, judgement),
        f"{AGREES} {joint_sentence(judgement.deciding, judgement.findings)}".rstrip(),
        _opening(material.selection, material.comparisons),
        verdict_section.gates_line(judgement),
        _throughput(material.ratios) if material.ratios else "",
        verdict_section.changes_since(judgement),
    )


def _notes(selection: Selection) -> str:
    notes = "\n".join(f"- {escape(note)}" for note in selection.left_out + selection.notes)
    return f"**Not in the tables**\n\n{notes}" if notes else ""


def _eras(material: Material) -> str:
    least = material.night.uniform_epochs.groupby("variant")["seed"].nunique().min()
    return (
        "## Two eras of PyTorch\n\n"
        "Before PyTorch 1.2 the weights of BatchNorm were drawn from U(0, 1); since then they "
        f"start at 1. The seeds above start at 1; {counted(int(least), 'seed')} or more per model "
        "start the old way. The table *Third-party runs* counts which start explains them."
        "\n\n"
        "![Final training loss and accuracy of both starts](eras.png)"
    )


def _throughput(found: Sequence[Ratio]) -> str:
    """Return the ratios of the training step: one row per variant, one column per backend."""
    step = {
        (r.variant, r.backend): f"{r.ratio:.2f}"
        for r in found
        if r.phase == "train_step" and not r.aa_control
    }
    variants, backends = (dict.fromkeys(names) for names in zip(*step, strict=True))
    columns = [name for name in BACKENDS if name in backends]
    rows = [
        [variant, *(step.get((variant, backend), NO_VALUE) for backend in columns)]
        for variant in VARIANTS
        if variant in variants
    ]
    return (
        "Tokens per second of a training step, as ratios to `nn` (`Model0` to `Model3`: to "
        "`custom`):\n\n" + table(["model", *columns], rows, text=("model",))
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
    noun = "run" if len(selection.runs) == 1 else "runs"
    models = "all eight models"
    if len(counts) < len(VARIANTS):
        models = f"{len(counts)} of the notebook's {len(VARIANTS)} models"
    text = (
        f"The tables rest on {len(selection.runs):,} {noun} of {models}, {seeds} each. "
        f"{_backends(selection)} "
        f"Of the {len(held)} published values that have a counterpart here, {out} "
        f"({out / len(held):.0%}) lie outside the central 95% of our seeds. If the notebook's "
        f"run were one more seed, about {expected_share_outside(held):.0%} would; but the "
        "values of one run depend on each other: a run that is unusual in one row is unusual "
        "in the next."
    )
    missing = ", ".join(name for name in VARIANTS if name not in counts.index)
    return f"{text} There are no runs of {missing}." if missing else text


def _backends(selection: Selection) -> str:
    """Say on which backends the seeds were trained that the tables show."""
    others: dict[str, list[str]] = {}
    for variant, backend in selection.backends.items():
        if backend != VARIANTS[variant].backend:
            others.setdefault(backend, []).append(variant)
    if not others:
        return "Each model's seeds were trained on the notebook's own backend."
    named = "; ".join(
        f"{escape(backend)} ({', '.join(names)})" for backend, names in others.items()
    )
    text = f"A model's seeds are those of the backend that has the most: {named}."
    if sum(map(len, others.values())) < len(selection.backends):
        text += " The other models' seeds were trained on the notebook's own backend."
    return text


def _summary_table(comparisons: Sequence[Comparison], judgement: Judgement) -> str:
    final = {
        c.variant: c
        for c in comparisons
        if (c.epoch, c.measure) == (VARIANTS[c.variant].epochs - 1, "accuracy")
    }
    tonight = {a.variant: a for a in judgement.notebook.agreements}
    whose = "published seeds" if judgement.by_published else "seeds tonight"
    return table_of(
        judgement.deciding.agreements,
        [
            ("model", lambda a: Markup(f"[{a.variant}](#{a.variant.lower()})")),
            ("verdict", lambda a: verdict_of(a, judgement.findings)),
            ("tonight's runs", lambda a: _computation(a.variant, judgement)),
            ("p of its table", lambda a: number(a.p.table)),
            ("final accuracy: notebook", lambda a: f"{final[a.variant].notebook:.4f}"),
            ("median", lambda a: number(final[a.variant].median)),
            ("95%", lambda a: interval(final[a.variant])),
            ("rank", lambda a: rank(final[a.variant])),
            ("seeds", lambda a: str(final[a.variant].seeds)),
            ("on backend", lambda a: tonight[a.variant].backend or NO_VALUE),
            ("verdict by", lambda a: f"{a.seeds} {whose}" if a.seeds else NO_VALUE),
            ("what it is", lambda a: VARIANTS[a.variant].description),
        ],
        text=("model", "verdict", "tonight's runs", "on backend", "verdict by", "what it is"),
    )


def _computation(variant: str, judgement: Judgement) -> str:
    """Return the worst verdict of a variant's configurations beside the reference runs."""
    found = {each.verdict for each in judgement.same.departures if each.variant == variant}
    trained = variant in {name for name, _ in judgement.configurations}
    order = (
        departures.ANOTHER_COMPUTATION,
        departures.UNEXPLAINED,
        departures.SAME_TO_ROUNDING,
        departures.SAME_DIGITS,
    )
    none = departures.NO_REFERENCE if trained else "no runs"
    return next((each for each in order if each in found), none)


def _reading_guide(selection: Selection) -> str:
    shared = (
        " The seeds of an ensemble are trained together: seconds of an epoch are one seed's share."
        if set(selection.backends.values()) & set(JOINT)
        else ""
    )
    return (
        "**How to read the tables.** Each model has two. The first is the notebook's table, with "
        "the median of our seeds beside each value (*ours*); *time* is seconds per epoch, on the "
        "notebook's machine and on this one. The second says where the notebook's values lie among "
        "ours: *95%* is from the 2.5% to the 97.5% quantile of our seeds, and *rank* is the place "
        "of the notebook's value among our N seeds, from 1 (below all of ours) to N + 1 (above all "
        f"of ours).{shared}"
    )
