"""Which pictures a report has: drawn and saved, in the order in which it shows them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from hnrnn.variants import VARIANTS
from reports.figures import models as figures
from reports.figures.trends import trend
from reports.pages.report import Material

# isort: split
from matplotlib.figure import (
    Figure,  # last: reports.figures.models sees to how matplotlib is imported
)


def draw(material: Material, folder: Path) -> list[Path]:
    """Save every picture of a report as PNG in ``folder``, and return their paths."""
    epochs, tables, third_party = material.selection.epochs, material.tables, material.third_party
    drawings: dict[str, Callable[[], Figure]] = {
        "overview": partial(figures.overview, epochs, tables, third_party)
    }
    for name in VARIANTS:
        drawings[name] = partial(figures.curves, name, epochs, tables, third_party)
    if material.ratios:
        drawings["backends"] = partial(figures.backends, material.ratios)
    if len(material.uniform):
        drawings["eras"] = partial(figures.eras, epochs, material.uniform, third_party)
    if material.past is not None:
        past = material.past
        for name, file in past.pictures.items():
            drawings[Path(file).stem] = partial(
                trend, name, past.nights, past.test.drifts, past.baseline
            )
    paths = []
    for name, drawing in drawings.items():
        paths.append(folder / f"{name}.png")
        figures.save(drawing(), paths[-1])
    return paths
