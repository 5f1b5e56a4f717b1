"""Matplotlib with the project's settings, and what several figures draw.

Figures depend on the data alone, not on ``MPLBACKEND`` or a ``matplotlibrc``. The settings of a
process that imports ``reports``, such as a notebook, stay unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

INK = 30
"""The opacity of all curves together: more curves are fainter, so that what lies behind and among
them stays visible."""
MOST_INK, LEAST_INK = 0.5, 0.03
"""The bounds of a curve's opacity."""


@contextmanager
def own_settings() -> Iterator[None]:
    """Use matplotlib's own defaults inside a block or a decorated function.

    Settings are read when an artist is made and again when it is drawn, so that both belong inside.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def legend_below(figure: Figure, *handles: Artist, columns: int = 3) -> None:
    """Put a legend below the panels of a figure."""
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=11
    )


def label_epochs(axes: Axes, title: str, epochs: int) -> None:
    """Set the title, the grid and the axis of epochs of a panel."""
    axes.set_title(title, fontsize=12)
    axes.set_xlim(-0.3, epochs - 0.7)
    axes.locator_params("x", integer=True)
    axes.grid(alpha=0.25)


def opacity(curves: int) -> float:
    """Return the opacity of each of many curves."""
    return float(np.clip(INK / curves, LEAST_INK, MOST_INK))


def draw_each(axes: Axes, table: pd.DataFrame, **style: Any) -> None:
    """Draw one curve per column of a table, over its index.

    They are one artist, because a layout measures every artist: a thousand take seconds.
    """
    curves = np.stack(np.broadcast_arrays(table.index, table.to_numpy().T), axis=-1)
    axes.add_collection(LineCollection(list(curves), capstyle="projecting", **style))
    axes.autoscale_view()
