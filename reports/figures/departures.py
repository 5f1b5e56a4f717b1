"""The figure of departures: how far runs are from their reference runs, epoch by epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hnrnn.departures import MARGIN
from hnrnn.variants import VARIANTS
from reports.figures.drawing import draw_each, label_epochs, legend_below, opacity, own_settings
from reports.figures.models import OURS

LOSSES = ["train_loss", "valid_loss"]
LEAST = 1e-8
"""Distances are drawn as at least this: a logarithmic scale has no zero."""
HEALTHY, LIMIT = "#777777", "#000000"
NAMED = ("#cc3311", "#ee7733", "#aa3377", "#228833", "#999933", "#882255")
"""The colours of the weakest faults; all others share one."""
OTHERS = "#e0b090"


@own_settings()
def departures(cells: pd.DataFrame, rounding: pd.DataFrame, faults: pd.DataFrame) -> Figure:
    """Draw one panel per variant, with the larger distance of the two losses by epoch.

    ``cells`` are those of ``reports.runs.departures.Held``, ``rounding`` is
    ``hnrnn.published.rounding()``. ``faults`` has one row per ``kind``, ``variant``, ``seed`` and
    ``epoch`` with the distances of both losses; it may be empty. The weakest faults are named.
    """
    figure = Figure(figsize=(14, 7.2), layout="constrained")
    figure.suptitle("Distance of the losses from the reference run of the same seed", fontsize=14)
    weakest = faults.groupby("kind")["valid_loss"].median().sort_values().index
    colours = dict(zip(weakest, NAMED, strict=False))
    others = len(weakest) - len(colours)
    panels = figure.subplots(2, 4, sharey=True)
    for axes, (name, variant) in zip(panels.flat, VARIANTS.items(), strict=True):
        ones = (rounding["variant"] == name) & (rounding["initialisation"] == "ones")
        _draw_healthy(axes, rounding[ones])
        of_faults = faults[faults["variant"] == name]
        for fault, rows in of_faults.groupby("kind"):
            middle = rows.groupby("epoch")[LOSSES].median().max(axis=1)
            named = fault in colours
            axes.plot(
                middle.clip(lower=LEAST), ".-", color=colours.get(fault, OTHERS),
                lw=1.4 if named else 0.7, ms=6 if named else 3, zorder=5 if named else 4,
            )  # fmt: skip
        _draw_runs(axes, cells[cells["variant"] == name])
        axes.set_yscale("log")
        label_epochs(axes, name, variant.epochs)
    for axes in panels[1]:
        axes.set_xlabel("epoch")
    for axes in panels[:, 0]:
        axes.set_ylabel("nats per token")
    legend_below(
        figure,
        Patch(color=HEALTHY, alpha=0.35, lw=0, label="healthy executions, usual to furthest"),
        Line2D([], [], color=LIMIT, lw=1, ls="--", label=f"limit: {MARGIN:g} times the furthest"),
        Line2D([], [], color=OURS, lw=1, label="tonight's runs"),
        *(
            Line2D([], [], color=colour, marker=".", lw=1.4, label=f"fault: {name}")
            for name, colour in colours.items()
        ),
        *[Line2D([], [], color=OTHERS, marker=".", lw=0.7, label=f"{others} other injected faults")]
        * (others > 0),
        columns=5,
    )
    return figure


def _draw_healthy(axes: Axes, rounding: pd.DataFrame) -> None:
    """Draw from the usual to the furthest healthy distance, and the limit."""
    losses = rounding[rounding["column"].isin(LOSSES)]
    by_epoch = losses.groupby("epoch")[["spread", "furthest"]].max()
    axes.fill_between(
        by_epoch.index, by_epoch["spread"], by_epoch["furthest"],
        color=HEALTHY, alpha=0.35, lw=0, zorder=1,
    )  # fmt: skip
    axes.plot(MARGIN * by_epoch["furthest"], color=LIMIT, lw=1, ls="--", zorder=3)


def _draw_runs(axes: Axes, cells: pd.DataFrame) -> None:
    """Draw each run's distances; of many runs, each is fainter."""
    losses = cells[cells["column"].isin(LOSSES)]
    by_run = losses.pivot_table(index="epoch", columns="run_id", values="distance", aggfunc="max")
    if by_run.empty:
        return
    strength = opacity(by_run.shape[1])
    values = by_run.replace(np.inf, np.nan).clip(lower=LEAST)
    if len(values) == 1:  # one point makes no curve
        axes.plot(values, color=OURS, marker=".", ls="", alpha=strength, zorder=2)
    draw_each(axes, values, color=OURS, lw=0.8, alpha=strength, zorder=2)
