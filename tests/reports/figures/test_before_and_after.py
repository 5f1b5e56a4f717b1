"""The figure of two compared tables."""

from __future__ import annotations

import numpy as np
import pytest

from reports.figures.before_and_after import before_and_after
from reports.statistics import Interval
from reports.verdict.two_tables import Column, Difference

VALUES = np.linspace(0.8, 0.9, 5)


def difference(configuration: str, metric: str, pairs: int, *, diverged: int = 0) -> Difference:
    """Return a difference of five runs on either side."""
    after = np.where(np.arange(5) < diverged, np.inf, VALUES - 0.01)
    column = Column(
        configuration,
        metric,
        larger_is_better=metric == "accuracy",
        before=VALUES,
        after=after,
        pairs=pairs,
        left_out=(0, 0),
    )
    interval = Interval(-0.01, -0.03, 0.01) if not diverged else Interval(-0.01, np.nan, np.nan)
    return Difference(column, interval, 0.25, worse=True, visible=0.1, enough=True, level=0.05)


def test_a_row_per_metric_and_a_line_per_configuration() -> None:
    """Pairs are joined, the worse side is shaded, and zero is in the middle."""
    found = [
        difference(configuration, metric, pairs)
        for configuration, pairs in (("small", 3), ("large", 0))
        for metric in ("accuracy", "loss")
    ]
    figure = before_and_after(found, ("a.csv", "b.csv"), "95%")
    assert [axes.get_title() for axes in figure.axes] == [
        "accuracy (higher is better)",
        "difference, with its 95% interval",
        "loss (lower is better)",
        "difference, with its 95% interval",
    ]
    values, changes, _, losses = figure.axes
    assert [label.get_text() for label in values.get_yticklabels()] == ["small", "large"]
    lines = [line for line in values.lines if len(np.atleast_1d(line.get_xdata())) == 2]
    assert len(lines) == 3
    for axes, worse in ((changes, -1), (losses, 1)):
        low, high = axes.get_xlim()
        assert low == -high
        shaded = axes.patches[0].get_extents().x0, axes.patches[0].get_extents().x1
        assert shaded[0] < shaded[1]
        x = axes.transData.inverted().transform([(shaded[0], 0), (shaded[1], 0)])[:, 0]
        assert x == pytest.approx(sorted([0, worse * high]), abs=1e-9)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a.csv", "b.csv", "mean"]


def test_diverged_runs_leave_no_mark() -> None:
    """Without an interval the figure is drawn all the same."""
    figure = before_and_after([difference("", "accuracy", 5, diverged=2)], ("a", "b"), "95%")
    figure.draw_without_rendering()
    (annotation,) = figure.axes[1].texts[:1]
    assert annotation.get_text() == "not worse, p 0.25000"
