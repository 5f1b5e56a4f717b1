"""One figure per model, and the overview.

Equal data gives equal bytes: no randomness, no date in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from bench.store.files import write_whole
from bench.text import counted
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS
from reports.figures.drawing import draw_each, label_epochs, legend_below, opacity, own_settings
from reports.runs.curves import DECIMALS
from reports.runs.curves import curves as run_curves
from reports.runs.ratios import Ratio
from reports.statistics.envelope import global_envelope

# Okabe and Ito's colours, which colour-blind people tell apart.
OURS = "#0072B2"
NOTEBOOK = "#D55E00"
THIRD_PARTY = "#555555"
UNIFORM = "#E69F00"
TABLE = "#CC79A7"
TITLES = {"train_loss": "Training loss", "valid_loss": "Validation loss", "accuracy": "Accuracy"}
DOTS_PER_INCH = 110
GOLDEN_RATIO = (1 + 5**0.5) / 2
PHASE_MARKS = {"train_step": (-0.22, "o"), "forward": (0.02, "s"), "validation": (0.24, "^")}
"""The vertical offset and the marker."""
CROWD = 200
"""If a variant has more dots than this, all are smaller and fainter."""
EDGE = [Stroke(linewidth=4.5, foreground="white"), Normal()]
"""A white edge around a line, to set it off from its background."""


@own_settings()
def curves(
    variant: str,
    epochs: pd.DataFrame,
    published: pd.DataFrame,
    third_party: pd.DataFrame,
    *,
    table: pd.DataFrame | None = None,
    start: str = "ones",
    make: Callable[..., Figure] = Figure,
) -> Figure:
    """Draw one variant: our seeds' curves and the notebook's by epoch, one panel per measure.

    The shaded band is the 95% global envelope of all three panels together. The notebook's curve
    leaves it if the whole-table test rejects at 5%, before Holm's correction. With a ``table``,
    which has ``epoch`` and the measures, its curve is drawn too, and the envelope is that of its
    own test. ``start`` says how the BatchNorm weights of ``epochs`` begin; ``make`` makes the
    figure.
    """
    ours = epochs[epochs["variant"] == variant]
    notebook = published[published["model"] == variant].set_index("epoch")
    others = run_curves(third_party, variant, key="run")
    seeds = counted(ours["seed"].nunique(), "seed")
    if start == "uniform":
        seeds += " with BatchNorm weights from U(0, 1)"
    figure = make(figsize=(12, 4.2), layout="constrained")
    figure.suptitle(f"{variant}: {VARIANTS[variant].description} ({seeds})", fontsize=14)
    tested = notebook if table is None else table.set_index("epoch")
    bounds = _envelope(variant, ours, tested)
    for axes, measure in zip(figure.subplots(1, 3), MEASURES, strict=True):
        if measure in bounds:
            low, high = bounds[measure]
            axes.fill_between(tested.index, low, high, color=OURS, alpha=0.2, lw=0, zorder=2)
        if len(others):
            theirs = others[measure].to_numpy().T
            axes.plot(theirs, color=THIRD_PARTY, lw=0.9, ls=(0, (3, 1.5)), alpha=0.8, zorder=3)
        _draw_curves(axes, ours, measure)
        axes.plot(notebook.index, notebook[measure], "o-", color=NOTEBOOK, lw=2, ms=4.5, zorder=5)
        if table is not None:
            axes.plot(tested.index, tested[measure], "D-", color=TABLE, lw=2.4, ms=5.5, zorder=6)
        axes.set_xlabel("epoch")
        label_epochs(axes, TITLES[measure], VARIANTS[variant].epochs)
    handles = [
        Line2D([], [], color=NOTEBOOK, marker="o", lw=2, ms=4.5, label="notebook"),
        Line2D([], [], color=OURS, lw=2, label="our median"),
        Line2D([], [], color=OURS, lw=0.6, alpha=0.6, label="each seed"),
    ]
    if table is not None:
        label = "this table"
        handles.insert(0, Line2D([], [], color=TABLE, marker="D", lw=2.4, ms=5.5, label=label))
    if bounds:
        handles.append(Patch(color=OURS, alpha=0.2, lw=0, label="95% global envelope"))  # type: ignore[arg-type]
    if len(others):
        label = f"{len(others)} third-party runs"
        handles.append(Line2D([], [], color=THIRD_PARTY, lw=0.9, ls=(0, (3, 1.5)), label=label))
    legend_below(figure, *handles, columns=6)
    return figure


def _envelope(
    variant: str, ours: pd.DataFrame, tested: pd.DataFrame
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Return the envelope's lower and upper curve by measure; empty without whole runs.

    ``tested`` has the measures by epoch; the curves have its epochs.
    """
    sample = run_curves(ours, variant)
    if sample.empty:
        return {}
    there = sample.loc[:, sample.columns.isin(tested.index, level="epoch")].to_numpy()
    observed = tested[list(MEASURES)].to_numpy(dtype=np.float64).T.ravel().round(DECIMALS)
    low, high = (
        np.where(np.isfinite(bound), bound, np.nan).reshape(len(MEASURES), -1)
        for bound in global_envelope(there, observed=observed)
    )
    return dict(zip(MEASURES, zip(low, high, strict=True), strict=True))


def _draw_curves(axes: Axes, ours: pd.DataFrame, measure: str) -> None:
    table = ours.pivot_table(index="epoch", columns="seed", values=measure)
    if table.empty:
        axes.text(0.5, 0.5, "no runs", transform=axes.transAxes, ha="center", color="grey")
        return
    draw_each(axes, table, color=OURS, lw=0.6, alpha=opacity(table.shape[1]), zorder=1)
    marker = "o" if len(table) == 1 else "none"
    median = table.median(axis=1)
    axes.plot(median, marker=marker, color=OURS, lw=2, zorder=4, path_effects=EDGE)


@own_settings()
def overview(epochs: pd.DataFrame, published: pd.DataFrame, third_party: pd.DataFrame) -> Figure:
    """Draw every variant's final accuracies: one dot per seed, the notebook's, third parties'."""
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots()
    names = list(VARIANTS)
    most_seeds = epochs.groupby("variant")["seed"].nunique().max() if len(epochs) else 1
    room = min(1.0, (CROWD / most_seeds) ** 0.4)
    for position, name in enumerate(names):
        ours, theirs, notebook = (
            _final(runs, name)["accuracy"] for runs in (epochs, third_party, published)
        )
        accuracy = np.sort(ours.to_numpy())
        # Multiples of the golden ratio fill an interval evenly, so that dots stay apart.
        offsets = 0.64 * ((0.5 + np.arange(len(accuracy)) * GOLDEN_RATIO) % 1 - 0.5)
        dots = {"s": 14 * room, "alpha": 0.55 * room, "color": OURS, "lw": 0}
        axes.scatter(accuracy, position + offsets, zorder=2, **dots)
        if len(accuracy):
            middle = float(np.median(accuracy))
            height = [position - 0.36, position + 0.36]
            axes.plot([middle, middle], height, color=OURS, lw=2.5, path_effects=EDGE)
        axes.plot(theirs, [position + 0.42] * len(theirs), "|", color=THIRD_PARTY, ms=9, mew=1.4)
        axes.plot(notebook, [position], "D", color=NOTEBOOK, ms=9, mec="white", mew=1.2, zorder=5)
    axes.set_yticks(range(len(names)), [f"{n}\n{VARIANTS[n].description}" for n in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel("validation accuracy after the last epoch", fontsize=11)
    axes.grid(axis="x", alpha=0.25)
    axes.set_title("Final accuracy: the notebook's one run among our seeds", fontsize=13)
    legend_below(
        figure,
        Line2D([], [], color=NOTEBOOK, marker="D", ms=8, lw=0, label="notebook"),
        Line2D([], [], color=OURS, marker="o", ms=4, lw=0, label="our seeds"),
        Line2D([], [], color=OURS, lw=2.5, label="our median"),
        Line2D(
            [], [], color=THIRD_PARTY, marker="|", ms=9, mew=1.4, lw=0, label="third-party runs"
        ),
        columns=4,
    )
    return figure


@own_settings()
def eras(ones: pd.DataFrame, uniform: pd.DataFrame, third_party: pd.DataFrame) -> Figure:
    """Draw final accuracy against training loss by BatchNorm initialisation, per variant.

    ``ones`` and ``uniform`` are epochs of our seeds whose BatchNorm weights start at 1 or are drawn
    from U(0, 1); third-party runs have either.
    """
    figure = Figure(figsize=(13, 6.6), layout="constrained")
    for name, axes in zip(VARIANTS, figure.subplots(2, 4).flat, strict=True):
        for epochs, style in (
            (ones, {"marker": "o", "color": OURS, "ms": 4, "alpha": 0.5}),
            (uniform, {"marker": "s", "color": UNIFORM, "ms": 4, "alpha": 0.6}),
            (third_party, {"marker": "x", "color": "black", "ms": 6, "mew": 1.3}),
        ):
            final = _final(epochs, name)
            axes.plot(final["train_loss"], final["accuracy"], lw=0, mec=style["color"], **style)
        axes.set_title(name, fontsize=12)
        axes.grid(alpha=0.25)
    for axes in figure.axes[4:]:
        axes.set_xlabel("training loss after the last epoch")
    for axes in figure.axes[::4]:
        axes.set_ylabel("accuracy")
    legend_below(
        figure,
        Line2D([], [], color=OURS, marker="o", ms=5, lw=0, label="ours, BatchNorm starts at 1"),
        Line2D([], [], color=UNIFORM, marker="s", ms=5, lw=0, label="ours, drawn from U(0, 1)"),
        Line2D([], [], color="black", marker="x", ms=6, lw=0, label="third-party runs"),
    )
    return figure


@own_settings()
def backends(found: Sequence[Ratio]) -> Figure:
    """Draw the ratio of every backend's throughput to the reference's, one panel per variant.

    The training step is a filled dot; forward and validation are hollow markers.
    """
    names = [name for name in VARIANTS if any(ratio.variant == name for ratio in found)]
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.6 * columns + 1.4, 2.9 * rows + 1.1), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flat
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for name, axes in zip(names, panels, strict=False):
        ratios = [ratio for ratio in found if ratio.variant == name]
        labels = list(dict.fromkeys(ratio.label for ratio in ratios))
        axes.axvline(1, color="#888888", lw=1, zorder=1)
        for ratio in ratios:
            offset, marker = PHASE_MARKS[ratio.phase]
            y = labels.index(ratio.label) + offset
            color = OURS if ratio.phase == "train_step" else "#555555"
            axes.plot([ratio.low, ratio.high], [y, y], color=color, lw=1.6, zorder=2)
            face = OURS if color == OURS else "white"
            axes.plot(ratio.ratio, y, marker, color=color, mfc=face, ms=6.5, zorder=3)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_title(f"{name} ({VARIANTS[name].recurrence})", fontsize=11.5)
        axes.grid(axis="x", alpha=0.25)
    figure.suptitle("Tokens per second, as a ratio to the reference backend", fontsize=13)
    legend_below(
        figure,
        Line2D([], [], color=OURS, marker="o", ms=6.5, lw=1.6, label="training step, 95%"),
        Line2D([], [], color="#555555", marker="s", mfc="white", lw=1.6, label="forward"),
        Line2D([], [], color="#555555", marker="^", mfc="white", lw=1.6, label="validation"),
    )
    return figure


def _final(epochs: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return the last epoch of a variant's runs."""
    own = epochs["variant" if "variant" in epochs else "model"] == variant
    return epochs[own & (epochs["epoch"] == VARIANTS[variant].epochs - 1)]


@own_settings()
def save(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file, whole or not at all, without a date or a version in it."""
    FigureCanvasAgg(figure)
    png = BytesIO()
    figure.savefig(png, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
    write_whole(path, png.getvalue())
