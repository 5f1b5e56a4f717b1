"""A model's section of the report: its recipe, what its numbers say, its picture and its table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from hnrnn.published import MEASURES
from hnrnn.variants import Variant
from reports.certificate import Agreement
from reports.comparison import Comparison
from reports.selection import Selection
from reports.tables import counted, interval, number, rank, table


def section(
    variant: Variant,
    selection: Selection,
    comparisons: Sequence[Comparison],
    published: pd.DataFrame,
    field: pd.DataFrame,
    agreement: Agreement,
) -> str:
    """Return the section; its picture is ``<variant>.png``.

    ``published`` is the notebook's table, ``field`` other people's runs.
    """
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
                    interval(comparison),
                    rank(comparison),
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
            words(variant, comparisons, field, agreement, _time_ratio(times, seconds)),
            f"![{variant.name}: curves by epoch]({variant.name}.png)",
            table(header, rows),
        ]
    )


def words(
    variant: Variant,
    comparisons: Sequence[Comparison],
    field: pd.DataFrame,
    agreement: Agreement,
    time_ratio: float,
) -> str:
    """Return what the numbers say, in sentences that only say what is so."""
    last = variant.epochs - 1
    final = next(
        c
        for c in comparisons
        if (c.variant, c.epoch, c.measure) == (variant.name, last, "accuracy")
    )
    if not final.seeds:
        return "No runs of this model."
    place = (
        f"The notebook's final accuracy, {final.notebook:.4f}, is {_place(final)}: their median is "
        f"{number(final.median)}."
    )
    sentences = [place]
    if agreement.seeds:
        sentences.append(
            f"Its whole table is no more extreme than those of {agreement.as_extreme} of "
            f"{agreement.seeds} seeds (p {agreement.p.table:.4f}, {agreement.holm.table:.4f} after "
            f"Holm): {agreement.verdict}."
        )
    theirs = field[(field["model"] == variant.name) & (field["epoch"] == last)]["accuracy"]
    if len(theirs):
        sentences.append(
            f"Of {counted(len(theirs), 'run')} that other people published, "
            f"{int((theirs > final.notebook).sum())} ended higher and "
            f"{int((theirs < final.notebook).sum())} lower."
        )
    if np.isfinite(time_ratio):
        sentences.append(
            f"An epoch took the notebook's machine {time_ratio:.1f} times as long as this one."
        )
    return " ".join(sentences)


def _place(final: Comparison) -> str:
    seeds = counted(final.seeds, "seed")
    if final.rank == 1:
        return f"below all of our {seeds}"
    if final.rank == final.seeds + 1:
        return f"above all of our {seeds}"
    return f"at rank {final.rank:g} of {final.seeds + 1} among our {seeds}"


def _time_ratio(notebook: pd.Series, seconds: dict[Any, float]) -> float:
    """Return the notebook's seconds an epoch over ours, both medians; NaN without runs."""
    return float(np.median(notebook) / np.median([*seconds.values()])) if seconds else np.nan


def _seconds_by_epoch(epochs: pd.DataFrame) -> dict[Any, float]:
    """Return the median over runs of an epoch's seconds, training and validation together."""
    seconds = epochs["train_seconds"] + epochs["valid_seconds"]
    return dict(seconds.groupby(epochs["epoch"]).median().items())
