"""A model's section of the report: its recipe, a summary, its picture and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.text import counted
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS, Variant
from reports.pages.tables import interval, number, rank, table
from reports.runs.comparison import Comparison
from reports.runs.selection import Selection
from reports.verdict.notebook import Agreement


def section(
    variant: Variant,
    selection: Selection,
    comparisons: Sequence[Comparison],
    published: pd.DataFrame,
    third_party: pd.DataFrame,
    agreement: Agreement,
    *,
    by_published: bool,
) -> str:
    """Return the section; its picture is ``<variant>.png``.

    ``published`` is the notebook's table, ``third_party`` other people's runs. ``agreement`` is of
    the published seeds (``by_published``) or of tonight's.
    """
    recipe = (
        f"Backend `{variant.backend}`: {variant.description}. Its recipe: bptt {variant.bptt}, "
        f"{variant.epochs} epochs, learning rate {variant.learning_rate:g}, "
        f"pct_start {variant.pct_start:g}; the token after "
        f"{'every token' if variant.target == 'every' else 'the last one'} is predicted."
    )
    seconds = _seconds_by_epoch(selection.epochs[selection.epochs["variant"] == variant.name])
    times = published[published["model"] == variant.name].set_index("epoch")["seconds"]
    return "\n\n".join(
        [
            f"## {variant.name}",
            recipe,
            words(
                variant,
                comparisons,
                third_party,
                _rarity(agreement, selection, by_published=by_published),
                times,
                seconds,
            ),
            f"![{variant.name}: curves by epoch]({variant.name}.png)",
            *_tables(variant, comparisons, times, seconds),
        ]
    )


def _tables(
    variant: Variant,
    comparisons: Sequence[Comparison],
    times: pd.Series,
    seconds: dict[Any, float],
) -> list[str]:
    """Return the notebook's table with our medians, and its place among our seeds.

    Two tables: one of all columns is wider than a page.
    """
    at = {(c.epoch, c.measure): c for c in comparisons if c.variant == variant.name}
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
    return [
        f"**The notebook's table of {variant.name}**, with our medians:",
        table(headers[0], values),
        "Where the notebook's values lie among our seeds:",
        table(headers[1], places),
    ]


def words(
    variant: Variant,
    comparisons: Sequence[Comparison],
    third_party: pd.DataFrame,
    rarity: Sequence[str],
    times: pd.Series,
    seconds: dict[Any, float],
) -> str:
    """Return what the numbers say.

    ``rarity`` are sentences on the whole table; ``times`` are the notebook's seconds by epoch,
    ``seconds`` ours.
    """
    last = variant.epochs - 1
    final = next(
        c
        for c in comparisons
        if (c.variant, c.epoch, c.measure) == (variant.name, last, "accuracy")
    )
    if not final.seeds:
        short = any(c.seeds for c in comparisons if c.variant == variant.name)
        return f"No run{' of this model reached its last epoch' if short else 's of this model'}."
    place = (
        f"The notebook's final accuracy, {final.notebook:.4f}, is {_place(final)}, whose median is "
        f"{number(final.median)}."
    )
    sentences = [place, *rarity]
    theirs = third_party[(third_party["model"] == variant.name) & (third_party["epoch"] == last)][
        "accuracy"
    ]
    if len(theirs):
        sentences.append(
            f"Of {counted(len(theirs), 'run')} that other people published, "
            f"{int((theirs > final.notebook).sum())} ended higher and "
            f"{int((theirs < final.notebook).sum())} lower."
        )
    if seconds:
        sentences.append(_time(float(np.median(times)), float(np.median([*seconds.values()]))))
    return " ".join(sentences)


def _rarity(agreement: Agreement, selection: Selection, *, by_published: bool) -> list[str]:
    """Say on which backend the seeds were trained, and how rare the notebook's table is."""
    sentences = []
    backend = selection.backends.get(agreement.variant)
    if backend not in (None, VARIANTS[agreement.variant].backend):
        sentences.append(f"They were trained on the backend `{backend}`.")
    if agreement.seeds:
        whose = "the published" if by_published else "our"
        sentences.append(
            f"Of {whose} {agreement.seeds} seeds, {agreement.as_extreme} have a whole table that "
            f"is at least as extreme (p {agreement.p.table:.4f}, {agreement.holm.table:.4f} after "
            f"Holm): {agreement.verdict}."
        )
    return sentences


def _place(final: Comparison) -> str:
    seeds = counted(final.seeds, "seed")
    if final.rank == 1:
        return f"below all of our {seeds}"
    if final.rank == final.seeds + 1:
        return f"above all of our {seeds}"
    return f"at rank {final.rank:g} of {final.seeds + 1} among our {seeds}"


def _time(notebook: float, ours: float) -> str:
    """Say how long an epoch takes there and here, in seconds; the notebook prints whole ones."""
    if notebook == 0:
        return f"The notebook prints 0 seconds for most epochs; here one takes {ours:.2f}."
    return (
        f"The notebook's machine took {notebook / ours:.1f} times as long for an epoch as this one."
    )


def _seconds_by_epoch(epochs: pd.DataFrame) -> dict[Any, float]:
    """Return the median over runs of an epoch's seconds, training and validation together."""
    seconds = epochs["train_seconds"] + epochs["valid_seconds"]
    return dict(seconds.groupby(epochs["epoch"]).median().items())
