"""The trend figures: a variant's final accuracy and throughput on every backend, by night."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.plan.grid import reference_backend
from hnrnn.variants import VARIANTS
from reports.figures.drawing import legend_below, own_settings
from reports.history.columns import THROUGHPUT
from reports.history.drift import Drift
from reports.history.nights import HASHES, PROVENANCE, RATIO, Change, changes

# Okabe and Ito's colours; their yellow, which is faint on white, is replaced by a grey.
BACKEND_STYLES = {
    "nn": ("#0072B2", "o"),
    "nn_no_cudnn": ("#000000", "P"),
    "cell": ("#E69F00", "s"),
    "custom": ("#009E73", "^"),
    "custom_hoisted": ("#CC79A7", "D"),
    "compiled": ("#D55E00", "v"),
    "graphed": ("#56B4E9", "X"),
    "graphed_loop": ("#888888", "p"),
    "ensemble": ("#8B5A2B", "h"),
}
"""The colour and the marker of a backend."""
MARK = "#555555"
LABELLED = [name for name in PROVENANCE if name not in HASHES]
"""Changes that get a line with a label; a change of the training code only gets a tick."""
FEW_POINTS = 90
"""Up to this many nights x backends, each point has a marker and an error bar. Beyond, a backend
has a band and a few markers on nights of its own, so that lines that coincide stay visible."""
MARKERS = 16
"""The approximate number of markers per line beyond ``FEW_POINTS``."""
DATES = 9
"""The largest number of dates on the axis."""
LABEL_ROWS = 3
CHARACTER = 0.0078
"""The approximate width of a label's character, as a share of the panel's width."""


@own_settings()
def trend(
    variant: str,
    history: pd.DataFrame,
    drifts: Sequence[Drift] = (),
    baseline: pd.DataFrame | None = None,
) -> Figure:
    """Draw a variant's nights: mean final accuracy above and, if timed, throughput ratio below.

    ``history`` is as ``reports.history.nights.read`` returns it, ``drifts`` are those of
    ``find_drifts``, and ``baseline`` holds the ``moments`` of its grid. The nights are evenly
    spaced, whatever the time between them.
    """
    nights = list(history["night"].drop_duplicates().sort_values())
    place = {night: number for number, night in enumerate(nights)}
    own = history[history["variant"] == variant].sort_values("night")
    own = own.assign(place=own["night"].map(place), se=own["accuracy_sd"] / np.sqrt(own["seeds"]))
    own = own.assign(low=own["accuracy_mean"] - own["se"], high=own["accuracy_mean"] + own["se"])
    panels = 1 + bool(own["throughput_ratio"].notna().any())
    figure = Figure(figsize=(12, 7 if panels == 2 else 4.6), layout="constrained")
    above, *below = figure.subplots(
        panels, squeeze=False, sharex=True, height_ratios=[3, 2][:panels]
    ).flat
    figure.suptitle(f"{variant}: {VARIANTS[variant].description}, night by night", fontsize=14)
    backends = [name for name in BACKEND_STYLES if name in set(own["backend"])]
    few = len(nights) * len(backends) <= FEW_POINTS
    handles: list[Line2D | Patch] = []
    for number, backend in enumerate(backends):
        rows = own[own["backend"] == backend]
        rank = (number, len(backends))
        # Lines that coincide stay visible, one within the other.
        width = 1.6 if few else 1.2 + 0.9 * (len(backends) - 1 - number)
        _draw_line(above, rows, ("accuracy_mean", "low", "high"), rank, width, few=few)
        for axes in below:
            _draw_line(axes, rows, RATIO, rank, width=1.6, few=few)
        color, marker = BACKEND_STYLES[backend]
        handles.append(Line2D([], [], color=color, marker=marker, lw=1.8, ms=6.5, label=backend))
    handles += _draw_band(above, variant, own, baseline)
    own_drifts = [drift for drift in drifts if drift.variant == variant]
    marked = _mark_drifts(above, [d for d in own_drifts if d.measure != THROUGHPUT], place)
    for axes in below:
        marked += _mark_drifts(axes, [d for d in own_drifts if d.measure == THROUGHPUT], place)
    handles += marked[:1]
    handles += _mark_changes([above, *below], history, place)
    above.set_ylabel("final accuracy,\nmean ± standard error", fontsize=11)
    if own["accuracy_mean"].isna().all():
        above.text(0.5, 0.5, "no results", transform=above.transAxes, ha="center", color="grey")
    for axes in below:
        reference = reference_backend(VARIANTS[variant])
        axes.axhline(1, color="#888888", lw=1, zorder=1)
        axes.set_ylabel(f"throughput of a training\nstep, ratio to {reference}", fontsize=11)
    for axes in figure.axes:
        axes.grid(alpha=0.25)
    _label_nights(figure.axes[-1], nights)
    if handles:
        legend_below(figure, *handles, columns=6)
    return figure


def _draw_line(
    axes: Axes,
    rows: pd.DataFrame,
    columns: Sequence[str],
    rank: tuple[int, int],
    width: float,
    *,
    few: bool,
) -> None:
    """Draw one backend: value, low and high by night; ``rank`` is its number and their count."""
    value, low, high = columns
    rows = rows.dropna(subset=[value])
    if rows.empty:
        return
    number, count = rank
    color, marker = BACKEND_STYLES[str(rows["backend"].iloc[0])]
    # Backends' markers are side by side within a night, or on different nights.
    x = rows["place"].to_numpy() + (few * (number - (count - 1) / 2) * min(0.12, 0.8 / count))
    step = 1 if few else max(count, len(rows) // MARKERS)
    start = 0 if few else number * step // count
    axes.plot(x, rows[value], color=color, lw=width, zorder=3, solid_capstyle="round")
    axes.plot(
        x, rows[value], marker, color=color, ms=6, mec="white", mew=0.8, zorder=5,
        markevery=(min(start, len(rows) - 1), step),
    )  # fmt: skip
    if few:
        axes.vlines(x, rows[low], rows[high], color=color, lw=1.4, zorder=4)
    else:
        alpha = max(0.06, 0.25 / count)  # overlapping bands add up
        axes.fill_between(x, rows[low], rows[high], color=color, alpha=alpha, lw=0, zorder=2)


def _draw_band(
    axes: Axes, variant: str, own: pd.DataFrame, baseline: pd.DataFrame | None
) -> list[Patch]:
    """Draw the band with 95% of the nights' means if nothing has changed.

    It is that of the baseline's backend with the most seeds; ties go to the notebook's own.
    """
    if baseline is None or own.empty:
        return []
    rows = baseline[(baseline["variant"] == variant) & baseline["backend"].isin(own["backend"])]
    rows = rows.assign(own=rows["backend"] == VARIANTS[variant].backend)
    rows = rows.sort_values(["seeds", "own"]).tail(1)
    backend = rows["backend"].max()
    seeds = own.loc[(own["backend"] == backend) & (own["seeds"] > 0), "seeds"]
    if rows.empty or seeds.empty or np.isnan(rows["accuracy_sd"].iloc[0]):
        return []
    row = rows.iloc[0]
    half = 1.96 * row["accuracy_sd"] * np.sqrt(1 / seeds.median() + 1 / row["seeds"])
    mean = row["accuracy_mean"]
    axes.axhspan(mean - half, mean + half, color="#888888", alpha=0.16, lw=0, zorder=0)
    axes.axhline(mean, color="#888888", lw=1, zorder=1)
    return [Patch(color="#888888", alpha=0.3, lw=0, label=f"baseline, 95% ({backend})")]


def _mark_drifts(
    axes: Axes, drifts: Sequence[Drift], place: Mapping[pd.Timestamp, int]
) -> list[Line2D]:
    """Mark every night on which a drift is flagged, in one row per backend below the lines."""
    backends = [name for name in BACKEND_STYLES if name in {drift.backend for drift in drifts}]
    low, high = axes.get_ylim()
    axes.set_ylim(low - (high - low) * 0.07 * len(backends), high)
    for drift in drifts:
        color, _ = BACKEND_STYLES[drift.backend]
        y = 0.04 + 0.06 * backends.index(drift.backend)
        axes.plot(
            [place[night] for night in drift.flagged], [y] * len(drift.flagged), "|", color=color,
            ms=12, mew=3.5, transform=axes.get_xaxis_transform(), zorder=6,
        )  # fmt: skip
    if not drifts:
        return []
    return [Line2D([], [], color=MARK, marker="|", ms=12, mew=3.5, lw=0, label="drift flagged")]


def _mark_changes(
    panels: Sequence[Axes], history: pd.DataFrame, place: Mapping[pd.Timestamp, int]
) -> list[Line2D]:
    """Mark changes: a labelled line for software or device, a tick for the training code."""
    found = changes(history, LABELLED)
    for axes in panels:
        for change in found:
            axes.axvline(place[change.night] - 0.5, color=MARK, lw=1.1, ls=(0, (4, 3)), zorder=1)
    _label_changes(panels[0], found, place)
    code = [place[change.night] - 0.5 for change in changes(history, ["source_sha256"])]
    if code:
        panels[-1].plot(
            code, [1] * len(code), "|", color=MARK, ms=9, mew=1.1, zorder=6,
            transform=panels[-1].get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
    dashed = Line2D([], [], color=MARK, lw=1.1, ls=(0, (4, 3)), label="software or device")
    tick = Line2D([], [], color=MARK, marker="|", ms=9, mew=1.1, lw=0, label="training code")
    return [*([dashed] if found else []), *([tick] if code else [])]


def _label_changes(axes: Axes, found: Sequence[Change], place: Mapping[pd.Timestamp, int]) -> None:
    """Write each label above the panel, in the lowest row with room for it, if there is one."""
    taken = [-CHARACTER] * LABEL_ROWS
    for change in found:
        share = place[change.night] / len(place)
        width = CHARACTER * len(change.label)
        turned = share + width > 1
        left = share - width if turned else share
        row = next((row for row in range(LABEL_ROWS) if taken[row] < left), None)
        if row is not None:
            taken[row] = left + width + CHARACTER
            axes.annotate(
                change.label, (share, 1), xycoords="axes fraction", xytext=(0, 4 + 13 * row),
                textcoords="offset points", fontsize=9.5, color=MARK, va="bottom",
                ha="right" if turned else "left", parse_math=False,
            )  # fmt: skip


def _label_nights(axes: Axes, nights: Sequence[pd.Timestamp]) -> None:
    """Label the axis with as many dates as have room."""
    count = len(nights)
    axes.set_xlim(-0.5, max(count, 1) - 0.5)
    step = max(1, -(-count // DATES))
    axes.set_xticks(range(0, count, step), [f"{night:%Y-%m-%d}" for night in nights[::step]])
    axes.set_xlabel("night (UTC)", fontsize=11)
