"""The figure of departures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hnrnn.published import rounding
from hnrnn.variants import VARIANTS
from reports.figures.departures import LEAST, departures
from reports.runs.departures import fault_distances
from reports.runs.night import Night
from reports.verdict.same_computation import held_runs
from tests.computed_nights import computed_night


def test_a_panel_per_model(tmp_path: Path) -> None:
    """Each panel shows tonight's runs, the limit and every published fault on a log scale."""
    rows = [
        {"kind": kind, "variant": "Model4", "seed": seed, "epoch": epoch, "train_loss": 1e-3,
         "valid_loss": 10.0**-seed, "accuracy": 0.0}
        for kind in ("lr_times_3", "wd_0") for seed in range(3) for epoch in range(4)
    ]  # fmt: skip
    for kind, own in pd.DataFrame(rows).groupby("kind"):
        own.to_parquet(tmp_path / f"{kind}.parquet")
    cells = held_runs(Night.of(computed_night(2))).cells
    figure = departures(cells, rounding(), fault_distances(tmp_path))
    panels = {axes.get_title(): axes for axes in figure.axes}
    assert [*panels] == [*VARIANTS]
    assert {axes.get_yscale() for axes in panels.values()} == {"log"}
    # The limit, and in one panel two faults.
    assert [len(axes.lines) for axes in panels.values()] == [1, 1, 1, 1, 3, 1, 1, 1]
    runs = {name: axes.collections[1].get_segments() for name, axes in panels.items()}  # type: ignore[attr-defined]
    assert [len(each) for each in runs.values()] == [2] * 8
    fault = next(line for line in panels["Model4"].lines if line.get_marker() == ".")
    assert np.asarray(fault.get_ydata()) == pytest.approx([0.1] * 4)
    assert min(curve[:, 1].min() for curve in runs["Model5"]) >= LEAST
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[3:] == ["fault: lr_times_3", "fault: wd_0"]


def test_nothing_is_published(tmp_path: Path) -> None:
    """Without published distances of faults the figure shows no faults."""
    cells = held_runs(Night.of(computed_night(1))).cells
    figure = departures(cells, rounding(), fault_distances(tmp_path))
    assert len(figure.legends[0].get_texts()) == 3
