"""The figure of two compared tables: the values of both, and the differences of their means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reports.figures.drawing import legend_below, opacity, own_settings
from reports.verdict.two_tables import WORSE, Difference

# Okabe and Ito's colours, which colour-blind people tell apart.
BEFORE, AFTER = "#0072B2", "#D55E00"
OFFSET, JITTER = 0.17, 0.1
GOLDEN_RATIO = (1 + 5**0.5) / 2


@own_settings()
def before_and_after(
    differences: Sequence[Difference], names: tuple[str, str], confidence: str
) -> Figure:
    """Draw one row of panels per metric, with one line per configuration in each.

    On the left are the values of every run, a line between those of a pair, and the means. On the
    right is the difference of the means with its interval, and on which side is worse.
    """
    metrics = list(dict.fromkeys(each.column.metric for each in differences))
    lines = len({each.column.configuration for each in differences})
    height = len(metrics) * (1.3 + 0.75 * lines) + 0.7
    figure = Figure(figsize=(10.5, height), layout="constrained")
    rows = figure.subplots(len(metrics), 2, squeeze=False, width_ratios=[3, 2])
    for metric, (values, changes) in zip(metrics, rows, strict=True):
        own = [each for each in differences if each.column.metric == metric]
        better = "higher" if own[0].column.larger_is_better else "lower"
        values.set_title(f"{metric} ({better} is better)", fontsize=12)
        changes.set_title(f"difference, with its {confidence} interval", fontsize=12)
        for place, each in enumerate(own):
            _draw_values(values, each, place)
            _draw_difference(changes, each, place)
        _finish(values, own)
        _finish(changes, own, names=False)
        _mark_worse(changes, larger_is_better=own[0].column.larger_is_better)
    legend_below(
        figure,
        *(
            Line2D([], [], color=color, marker="o", lw=0, label=name)
            for color, name in zip((BEFORE, AFTER), names, strict=True)
        ),
        Line2D([], [], color="black", marker="|", ms=14, mew=2.5, lw=0, label="mean"),
    )
    return figure


def _draw_values(axes: Axes, each: Difference, place: int) -> None:
    column = each.column
    sides = (column.before, column.after)
    heights = [
        _heights(len(values), place + sign * OFFSET)
        for values, sign in zip(sides, (-1, 1), strict=True)
    ]
    joined = [each[: column.pairs] for each in (*sides, *heights)]
    for first, second, low, high in zip(*joined, strict=True):
        axes.plot([first, second], [low, high], color="grey", lw=0.5, alpha=0.4, zorder=1)
    for values, height, color, mean in zip(
        sides, heights, (BEFORE, AFTER), column.means, strict=True
    ):
        alpha = max(opacity(len(values)), 0.25)
        axes.plot(values, height, "o", color=color, ms=4.5, mew=0, alpha=alpha, zorder=2)
        axes.plot(mean, height.mean() if len(height) else place, "|", color="black", ms=16, mew=2.5)


def _heights(count: int, middle: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return places that are spread evenly about the middle, in an order without a pattern."""
    golden = np.modf(np.arange(count) * GOLDEN_RATIO)[0]
    return np.asarray(middle + JITTER * (2 * golden - 1))


def _draw_difference(axes: Axes, each: Difference, place: int) -> None:
    change, low, high = each.interval
    color = AFTER if each.verdict == WORSE else "black"
    axes.plot([low, high], [place, place], color=color, lw=2)
    axes.plot(change, place, "o", color=color, ms=7)
    text = f"{each.verdict or 'not worse'}, p {each.p_in_words}"
    axes.annotate(
        text, (change, place), (0, 9), textcoords="offset points", ha="center", fontsize=10
    )


def _finish(axes: Axes, differences: Sequence[Difference], *, names: bool = True) -> None:
    configurations = [each.column.configuration if names else "" for each in differences]
    axes.set_yticks(range(len(differences)), configurations)
    axes.set_ylim(len(differences) - 0.45, -0.55)
    axes.grid(axis="x", alpha=0.25)
    axes.margins(x=0.08 if names else 0.25)  # room for what is written beside the differences
    axes.locator_params("x", nbins=6 if names else 5)
    axes.tick_params(axis="y", length=0)


def _mark_worse(axes: Axes, *, larger_is_better: bool) -> None:
    """Shade the side of the differences that are for the worse."""
    axes.axvline(0, color="grey", lw=1, zorder=0)
    low, high = axes.get_xlim()
    most = max(abs(low), abs(high))
    axes.set_xlim(-most, most)
    axes.axvspan(*((-most, 0) if larger_is_better else (0, most)), color=AFTER, alpha=0.07, lw=0)
    side = 0.02 if larger_is_better else 0.98
    axes.text(
        side, 0.03, "worse", transform=axes.transAxes, ha="left" if larger_is_better else "right",
        color=AFTER, fontsize=10,
    )  # fmt: skip
