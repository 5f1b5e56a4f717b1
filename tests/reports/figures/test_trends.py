"""The trend figures: what is drawn where, and that nothing overlaps."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from bench.plan.grid import BACKENDS
from reports.figures.models import save
from reports.figures.trends import BACKEND_STYLES, FEW_POINTS, LABEL_ROWS, trend
from reports.history.drift import find_drifts
from tests.history_data import (
    ACCURACY,
    ACCURACY_SD,
    FIRST,
    made_up_baseline,
    made_up_history,
)

ALL = tuple(name for name in BACKENDS if name != "graphed")


def markers(figure: Figure, backend: str, panel: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return where a backend's markers stand in a panel."""
    _, marker = BACKEND_STYLES[backend]
    (line,) = [line for line in figure.axes[panel].lines if line.get_marker() == marker]
    start, step = line.get_markevery()
    return np.asarray(line.get_xdata())[start::step], np.asarray(line.get_ydata())[start::step]


def labels(figure: Figure) -> list[Annotation]:
    """Return the labels of the changes."""
    return [child for child in figure.axes[0].get_children() if isinstance(child, Annotation)]


def legend(figure: Figure) -> list[str]:
    """Return the words of the legend."""
    return [text.get_text() for box in figure.legends for text in box.get_texts()]


def with_change(history: pd.DataFrame, night: int, **values: str) -> pd.DataFrame:
    """Return the history with other software or another device from a night on."""
    later = history["night"] >= FIRST + pd.Timedelta(days=night)
    for column, value in values.items():
        history.loc[later, column] = value
    return history


def test_every_backend_has_its_look() -> None:
    """Every backend of the grid has a colour and a marker of its own."""
    assert set(BACKEND_STYLES) == set(BACKENDS)
    colors, shapes = zip(*BACKEND_STYLES.values(), strict=True)
    assert len(set(colors)) == len(set(shapes)) == len(BACKENDS)


@pytest.mark.parametrize("nights", [0, 1, 2, 60, 400])
def test_draws_and_repeats(tmp_path: Path, nights: int) -> None:
    """Any number of nights gives a picture, with the same bytes each time."""
    history = made_up_history(nights, backends=("nn", "cell"), drift=0.5, drift_from=20)
    baseline = made_up_baseline(100)
    drifts = find_drifts(history, baseline).drifts
    for name in ("one.png", "two.png"):
        save(trend("Model5", history, drifts, baseline), tmp_path / name)
    content = (tmp_path / "one.png").read_bytes()
    assert content == (tmp_path / "two.png").read_bytes()
    assert content.startswith(b"\x89PNG")


@pytest.mark.parametrize("nights", [0, 5])
def test_nothing_measured(nights: int) -> None:
    """A panel without values says so; nights of other variants are not drawn."""
    figure = trend("Model4", made_up_history(nights))
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["no results"]
    assert legend(figure) == []


def test_without_throughput() -> None:
    """Without throughput there is no empty panel, and the dates stay."""
    (axes,) = trend("Model5", made_up_history(3).assign(throughput_ratio=np.nan)).axes
    assert next(label.get_text() for label in axes.get_xticklabels()) == "2026-01-02"


def test_values(tmp_path: Path) -> None:
    """Points are means and ratios; bars are one standard error and the interval."""
    history = made_up_history(3)
    figure = trend("Model5", history)
    x, y = markers(figure, "nn")
    np.testing.assert_allclose(x, [0, 1, 2])
    np.testing.assert_allclose(y, history["accuracy_mean"])
    (bars,) = figure.axes[0].collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])  # type: ignore[attr-defined]
    np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * history["accuracy_sd"] / 5)
    np.testing.assert_allclose(ends.mean(axis=1), history["accuracy_mean"])
    np.testing.assert_allclose(markers(figure, "nn", 1)[1], history["throughput_ratio"])
    save(figure, tmp_path / "trend.png")
    ticks = [tick.get_text() for tick in figure.axes[1].get_xticklabels()]
    assert ticks == ["2026-01-02", "2026-01-03", "2026-01-04"]


@pytest.mark.parametrize("nights", [1, 3, FEW_POINTS // len(ALL), 40, 400])
def test_equal_backends_stay_visible(nights: int) -> None:
    """Backends with equal accuracies have markers at different places and of different widths."""
    figure = trend("Model5", made_up_history(nights, backends=ALL))
    places = [set(markers(figure, backend)[0]) for backend in ALL]
    assert all(places)
    assert not any(one & other for one, other in combinations(places, 2))
    if nights * len(ALL) > FEW_POINTS:
        by_color = {color: backend for backend, (color, _) in BACKEND_STYLES.items()}
        widths = {
            by_color[line.get_color()]: line.get_linewidth()
            for line in figure.axes[0].lines
            if line.get_color() in by_color and line.get_marker() == "None"
        }
        assert list(widths) == list(ALL)
        assert all(first > second for first, second in pairwise(widths.values()))


def test_gaps() -> None:
    """A backend that missed nights is drawn at the dates of the nights it has."""
    history = made_up_history(4, backends=("nn", "cell"))
    gone = (history["backend"] == "cell") & (history["night"] < FIRST + pd.Timedelta(days=2))
    history.loc[gone, "accuracy_mean"] = np.nan
    x, _ = markers(trend("Model5", history), "cell")
    np.testing.assert_allclose(x, np.array([2, 3]) + 0.06)


def test_changed_torch_is_marked() -> None:
    """A change of torch is a labelled line between the nights, in both panels."""
    history = with_change(made_up_history(6), 4, torch_version="2.14.0")
    figure = trend("Model5", history)
    for axes in figure.axes:
        dashed = [line for line in axes.lines if line.is_dashed()]
        assert [list(line.get_xdata()) for line in dashed] == [[3.5, 3.5]]
    assert [label.get_text() for label in labels(figure)] == ["torch 2.14.0"]
    assert "software or device" in legend(figure)
    assert "software or device" not in legend(trend("Model5", made_up_history(6)))


def test_changed_code_is_a_tick() -> None:
    """Frequent changes of the training code get ticks without labels."""
    history = with_change(made_up_history(6), 2, source_sha256="x" * 64)
    history = with_change(history, 3, source_sha256="y" * 64)
    figure = trend("Model5", history)
    (ticks,) = [line for line in figure.axes[1].lines if line.get_marker() == "|"]
    assert list(ticks.get_xdata()) == [1.5, 2.5]
    assert labels(figure) == []
    assert "training code" in legend(figure)


@pytest.mark.parametrize("nights", [2, 8, 60, 400])
def test_labels_do_not_overlap(nights: int) -> None:
    """Labels of many changes neither overlap nor leave the picture; some are left off."""
    history = made_up_history(nights)
    for night in range(1, nights, max(1, nights // 40)):
        history = with_change(
            history, night, torch_version=f"2.13.{night}", device_name=f"machine number {night}"
        )
    figure = trend("Model5", history)
    FigureCanvasAgg(figure).draw()
    boxes = [label.get_window_extent() for label in labels(figure)]
    assert boxes
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    panel = figure.axes[0].get_window_extent()
    for box in boxes:
        assert panel.x0 - 1 <= box.x0 < box.x1 <= panel.x1 + 1
        assert panel.y1 <= box.y0 < box.y1 < figure.bbox.y1 - 20
    assert len({round(box.y0) for box in boxes}) <= LABEL_ROWS


def test_data_is_no_mathematics(tmp_path: Path) -> None:
    """A device's name is drawn literally, whatever it contains."""
    history = with_change(made_up_history(2), 1, device_name=r"$\nothing^{$")
    save(trend("Model5", history), tmp_path / "trend.png")
    history = with_change(made_up_history(2), 1, device_name="long " * 60)
    assert labels(trend("Model5", history)) == []


def test_drift_is_marked() -> None:
    """Every flagged night has a mark below all values, in its backend's own row."""
    history = made_up_history(30, backends=("nn", "cell"), drift=1.0, drift_from=10)
    drifts = find_drifts(history, made_up_baseline(100, ("nn", "cell"))).drifts
    assert len(drifts) == 4
    figure = trend("Model5", history, drifts)
    rows = [line for line in figure.axes[0].lines if line.get_marker() == "|"]
    for drift, line in zip(drifts, rows, strict=True):
        nights = [(night - FIRST).days for night in drift.flagged]
        assert list(line.get_xdata()) == nights
        assert line.get_color() == BACKEND_STYLES[drift.backend][0]
    heights = {line.get_color(): line.get_ydata()[0] for line in rows}
    assert len(set(heights.values())) == 2
    low, high = figure.axes[0].get_ylim()
    lowest = (history["accuracy_mean"] - history["accuracy_sd"] / 5).min()
    assert low + (max(heights.values()) + 0.02) * (high - low) < lowest
    assert "drift flagged" in legend(figure)
    other = trend("Model4", history, drifts)
    assert "drift flagged" not in legend(other)


def test_band_of_the_baseline() -> None:
    """The band is 1.96 standard errors of the difference between night and baseline."""
    figure = trend("Model5", made_up_history(5), (), made_up_baseline(100))
    (band,) = figure.axes[0].patches
    half = 1.96 * ACCURACY_SD * (1 / 25 + 1 / 100) ** 0.5
    box = band.get_extents().transformed(figure.axes[0].transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((ACCURACY - half, ACCURACY + half))
    assert "baseline, 95% (nn)" in legend(figure)
    other = made_up_baseline(100).assign(backend="cell")
    assert "baseline, 95% (nn)" not in legend(trend("Model5", made_up_history(5), (), other))


def test_a_band_of_the_ensemble() -> None:
    """If all nights are the ensemble's, so is the baseline's band."""
    nights, baseline = made_up_history(2, backends=("ensemble",)), ("nn", "ensemble")
    figure = trend("Model5", nights, (), made_up_baseline(25, backends=baseline))
    assert "baseline, 95% (ensemble)" in legend(figure)
