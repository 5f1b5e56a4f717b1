"""``report.md``: the notebook's tables beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS, Variant
from reports import backend_section, verdict
from reports.comparison import Comparison, expected_share_outside
from reports.judgement import Judgement
from reports.selection import Selection
from reports.tables import NO_VALUE, counted, escape, number, table

PROVENANCE = {
    "device_name": "device",
    "kernel": "kernel of the recurrence",
    "dtype": "dtype",
    "initialisation": "BatchNorm weights start",
    "threads": "CPU threads a run",
    "deterministic_algorithms": "deterministic algorithms",
    "tf32": "TF32",
    "torch_version": "torch",
    "fastai_version": "fastai",
    "cuda_version": "CUDA",
    "cudnn_version": "cuDNN",
    "driver_version": "driver",
    "python_version": "Python",
    "platform": "platform",
    "package_version": "hnrnn",
    "commit": "commit",
    "dirty": "uncommitted changes",
    "data_sha256": "SHA-256 of the data",
    "source_sha256": "SHA-256 of the training code",
}


def report(
    selection: Selection,
    comparisons: Sequence[Comparison],
    published: pd.DataFrame,
    judgement: Judgement,
) -> str:
    """Return the whole report; its pictures are ``overview.png`` and ``<variant>.png``."""
    parts = [
        "# The human-numbers notebook, reproduced",
        verdict.opening(judgement),
        _opening(selection, comparisons),
        "![Final accuracy of the eight models](overview.png)",
        _summary_table(comparisons),
        _reading_guide(),
    ]
    parts += [_notes(selection.notes)] if selection.notes else []
    parts += [
        _variant_section(variant, selection, comparisons, published)
        for variant in VARIANTS.values()
    ]
    parts.append(backend_section.section(selection, published))
    parts += ["## What the verdict rests on", *verdict.evidence(judgement)]
    parts.append(_provenance(selection.runs))
    return "\n\n".join(parts) + "\n"


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


def _summary_table(comparisons: Sequence[Comparison]) -> str:
    at = {(c.variant, c.epoch, c.measure): c for c in comparisons}
    rows = []
    for variant in VARIANTS.values():
        accuracy = at[variant.name, variant.epochs - 1, "accuracy"]
        loss = at[variant.name, variant.epochs - 1, "valid_loss"]
        rows.append(
            [
                f"[{variant.name}](#{variant.name.lower()})",
                variant.description,
                str(accuracy.seeds),
                f"{accuracy.notebook:.4f}",
                number(accuracy.median),
                _interval(accuracy),
                _rank(accuracy),
                f"{loss.notebook:.4f}",
                number(loss.median),
                _interval(loss),
                _rank(loss),
            ]
        )
    header = [
        "model", "what it is", "seeds",
        "accuracy: notebook", "median", "95%", "rank",
        "valid_loss: notebook", "median", "95%", "rank",
    ]  # fmt: skip
    return "After the last epoch:\n\n" + table(header, rows, left=2)


def _reading_guide() -> str:
    return (
        "**How to read the tables.** Each measure has four columns: the *notebook*'s value; our "
        "*median* over the seeds; *95%*, from the 2.5% to the 97.5% quantile of our seeds; and the "
        "notebook's *rank* when it is put among our N seeds, from 1 (below all of ours) to N + 1 "
        "(above all of ours). *time* is seconds an epoch, the notebook's machine beside this one."
    )


def _notes(notes: Sequence[str]) -> str:
    return "**Not in the tables**\n\n" + "\n".join(f"- {escape(note)}" for note in notes)


def _variant_section(
    variant: Variant,
    selection: Selection,
    comparisons: Sequence[Comparison],
    published: pd.DataFrame,
) -> str:
    recipe = (
        f"{variant.description}: backend `{variant.backend}`, bptt {variant.bptt}, "
        f"{variant.epochs} epochs, learning rate {variant.learning_rate:g}, "
        f"pct_start {variant.pct_start:g}; the token after "
        f"{'every token' if variant.target == 'every' else 'the last one'} is predicted."
    )
    seconds = _seconds_by_epoch(selection.epochs[selection.epochs["variant"] == variant.name])
    times = published[published["model"] == variant.name].set_index("epoch")["seconds"]
    rows = []
    for epoch in range(variant.epochs):
        cells = [str(epoch)]
        for comparison in comparisons:
            if (comparison.variant, comparison.epoch) == (variant.name, epoch):
                cells += [
                    f"{comparison.notebook:.6f}",
                    number(comparison.median),
                    _interval(comparison),
                    _rank(comparison),
                ]
        cells += [str(times[epoch]), number(seconds.get(epoch, np.nan), digits=2)]
        rows.append(cells)
    header = ["epoch"]
    for measure in MEASURES:
        header += [f"{measure}: notebook", "median", "95%", "rank"]
    header += ["time: notebook", "median"]
    return "\n\n".join(
        [
            f"## {variant.name}",
            recipe[0].upper() + recipe[1:],
            f"![{variant.name}: curves by epoch]({variant.name}.png)",
            table(header, rows),
        ]
    )


def _seconds_by_epoch(epochs: pd.DataFrame) -> dict[Any, float]:
    """Return the median over runs of an epoch's seconds, training and validation together."""
    seconds = epochs["train_seconds"] + epochs["valid_seconds"]
    return dict(seconds.groupby(epochs["epoch"]).median().items())


def _provenance(runs: pd.DataFrame) -> str:
    rows = []
    for column, label in PROVENANCE.items():
        values = sorted(runs[column].dropna().astype(str).unique())
        rows.append([label, escape("; ".join(values)) or NO_VALUE])
    if len(runs):
        rows.append(["first run started", f"{runs['started_at'].min():%Y-%m-%d %H:%M} UTC"])
        rows.append(["last run ended", f"{runs['ended_at'].max():%Y-%m-%d %H:%M} UTC"])
    return "## Provenance\n\n" + table(["what", "value"], rows, left=2)


def _interval(comparison: Comparison) -> str:
    if np.isnan(comparison.low):
        return NO_VALUE
    return f"{comparison.low:.4f} to {comparison.high:.4f}"


def _rank(comparison: Comparison) -> str:
    if np.isnan(comparison.rank):
        return NO_VALUE
    return f"{comparison.rank:g} of {comparison.seeds + 1}"
