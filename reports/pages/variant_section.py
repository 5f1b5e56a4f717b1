"""A model's section of the report: its recipe, a summary, its picture and its tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.text import counted
from hnrnn.published import MEASURES
from hnrnn.variants import Variant
from reports.pages.material import Material
from reports.pages.notebook_section import verdict_of
from reports.pages.tables import interval, number, paragraphs, rank, table
from reports.runs.comparison import Comparison


def section(variant: Variant, material: Material) -> str:
    """Return the section; its picture is ``<variant>.png``."""
    recipe = (
        f"Backend `{variant.backend}`: {variant.description}. Its recipe: bptt {variant.bptt}, "
        f"{variant.epochs} epochs, learning rate {variant.learning_rate:g}, "
        f"pct_start {variant.pct_start:g}; the token after "
        f"{'every token' if variant.target == 'every' else 'the last one'} is predicted."
    )
    tables = material.tables
    times = tables[tables["model"] == variant.name].set_index("epoch")["seconds"]
    epochs = material.selection.epochs
    own = epochs[epochs["variant"] == variant.name]
    seconds = (own["train_seconds"] + own["valid_seconds"]).groupby(own["epoch"]).median()
    return paragraphs(
        f"## {variant.name}",
        recipe,
        _words(variant, material, times, seconds),
        f"![{variant.name}: curves by epoch]({variant.name}.png)",
        _tables(variant, material, times, seconds),
    )


def _tables(variant: Variant, material: Material, times: pd.Series, seconds: pd.Series) -> str:
    """Return the notebook's table with our medians, and its place among our seeds.

    Two tables: one of all columns is wider than a page.
    """
    at = {(c.epoch, c.measure): c for c in material.comparisons if c.variant == variant.name}
    values, places = [], []
    for epoch in range(variant.epochs):
        row = [at[epoch, measure] for measure in MEASURES]
        pairs = [cell for c in row for cell in (f"{c.notebook:.6f}", number(c.median))]
        time = number(seconds.get(epoch, np.nan), digits=2)
        values.append([str(epoch), *pairs, str(times[epoch]), time])
        places.append([str(epoch), *(cell for c in row for cell in (interval(c), rank(c)))])
    headers = [
        ["epoch", *(cell for measure in MEASURES for cell in (measure, "ours")), "time", "ours"],
        ["epoch", *(cell for measure in MEASURES for cell in (f"{measure}: 95%", "rank"))],
    ]
    return paragraphs(
        f"**The notebook's table of {variant.name}**, with our medians:",
        table(headers[0], values),
        "Where the notebook's values lie among our seeds:",
        table(headers[1], places),
    )


def _words(variant: Variant, material: Material, times: pd.Series, seconds: pd.Series) -> str:
    """Return what the numbers say; ``times`` are the notebook's seconds by epoch."""
    last = variant.epochs - 1
    own = [c for c in material.comparisons if c.variant == variant.name]
    final = next(c for c in own if (c.epoch, c.measure) == (last, "accuracy"))
    if not final.seeds:
        short = any(c.seeds for c in own)
        return f"No run{' of this model reached its last epoch' if short else 's of this model'}."
    place = (
        f"The notebook's final accuracy, {final.notebook:.4f}, is {_place(final)}, whose median is "
        f"{number(final.median)}."
    )
    sentences = [place, *_rarity(variant, material)]
    rows = material.third_party
    theirs = rows[(rows["model"] == variant.name) & (rows["epoch"] == last)]["accuracy"]
    if len(theirs):
        sentences.append(
            f"Of {counted(len(theirs), 'third-party run')}, "
            f"{int((theirs > final.notebook).sum())} ended higher and "
            f"{int((theirs < final.notebook).sum())} lower."
        )
    notebook, ours = float(times.median()), float(seconds.median())
    sentences.append(
        f"The notebook's machine took {notebook / ours:.1f} times as long for an epoch as this one."
        if notebook  # it prints whole seconds
        else f"The notebook prints 0 seconds for most epochs; here one takes {ours:.2f}."
    )
    return " ".join(sentences)


def _rarity(variant: Variant, material: Material) -> list[str]:
    """Say on which backend the seeds were trained, and how rare the notebook's table is."""
    sentences = []
    backend = material.selection.backends[variant.name]
    if backend != variant.backend:
        sentences.append(f"They were trained on the backend `{backend}`.")
    judgement = material.judgement
    (a,) = (a for a in judgement.deciding.agreements if a.variant == variant.name)
    if a.seeds:
        whose = "the published" if judgement.by_published else "our"
        sentences.append(
            f"Of {whose} {a.seeds} seeds, {a.as_extreme} have a whole table that is at least as "
            f"extreme (p {a.p.table:.4f}, {a.holm.table:.4f} after Holm): "
            f"{verdict_of(a, judgement.findings)}."
        )
    return sentences


def _place(final: Comparison) -> str:
    seeds = counted(final.seeds, "seed")
    if final.rank == 1:
        return f"below all of our {seeds}"
    if final.rank == final.seeds + 1:
        return f"above all of our {seeds}"
    return f"at rank {final.rank:g} of {final.seeds + 1} among our {seeds}"
