"""Draw and save the pictures of a report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hnrnn.published import rounding
from hnrnn.variants import VARIANTS
from reports.figures import models
from reports.figures.departures import departures
from reports.figures.trends import trend
from reports.pages.departures_section import PICTURE
from reports.pages.material import Material
from reports.runs.departures import fault_distances

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(material: Material, folder: Path) -> list[Path]:
    """Save every picture of a report as PNG in ``folder``; return the paths."""
    epochs, uniform = material.selection.epochs, material.night.uniform_epochs
    tables, third_party = material.tables, material.third_party
    drawings: dict[str, Callable[[], Figure]] = {
        "overview": partial(models.overview, epochs, tables, third_party)
    }
    for name in VARIANTS:
        drawings[name] = partial(models.curves, name, epochs, tables, third_party)
    if material.ratios:
        drawings["backends"] = partial(models.backends, material.ratios)
    if len(material.cells):
        faults = fault_distances()
        drawings[Path(PICTURE).stem] = partial(departures, material.cells, rounding(), faults)
    if len(uniform):
        drawings["eras"] = partial(models.eras, epochs, uniform, third_party)
    if material.past is not None:
        past = material.past
        for name, file in past.pictures.items():
            drawings[Path(file).stem] = partial(
                trend, name, past.nights, past.test.drifts, past.baseline
            )
    paths = []
    for name, drawing in drawings.items():
        paths.append(folder / f"{name}.png")
        models.save(drawing(), paths[-1])
    return paths
