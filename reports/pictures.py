"""Which pictures a report has: drawn and saved, in the order in which it shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from hnrnn.variants import VARIANTS
from reports import figures
from reports.markdown import Material


def draw(material: Material, folder: Path) -> list[Path]:
    """Save every picture of a report as PNG in ``folder``, and return their paths."""
    epochs, tables, field = material.selection.epochs, material.tables, material.field
    drawings: dict[str, Callable[[], Figure]] = {
        "overview": lambda: figures.overview(epochs, tables, field)
    }
    for name in VARIANTS:
        drawings[name] = lambda name=name: figures.curves(name, epochs, tables, field)  # type: ignore[misc]
    if material.ratios:
        drawings["backends"] = lambda: figures.backends(material.ratios)
    if len(material.uniform):
        drawings["eras"] = lambda: figures.eras(epochs, material.uniform, field)
    paths = []
    for name, drawing in drawings.items():
        paths.append(folder / f"{name}.png")
        figures.save(drawing(), paths[-1])
    return paths
