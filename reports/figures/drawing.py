"""Matplotlib with the project's settings: import this module before matplotlib.

Figures depend on the data alone, not on ``MPLBACKEND`` or a ``matplotlibrc``. The settings of a
process that imports ``reports``, such as a notebook, stay unchanged.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _import_matplotlib() -> None:
    """Import matplotlib, even if ``MPLBACKEND`` names a backend that is not installed.

    A notebook passes the name of its own backend to every process that it starts, and matplotlib
    cannot be imported without that backend, which is not needed here. If it is installed, pyplot
    will still use it.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend


_import_matplotlib()


@contextmanager
def own_settings() -> Iterator[None]:
    """Use matplotlib's own defaults inside a block or a decorated function.

    Settings are read when an artist is made and again when it is drawn, so that both belong inside.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def legend_below(figure: Figure, *handles: Artist, columns: int = 3) -> None:
    """Put a legend below the panels of a figure."""
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=11
    )


def draw_each(axes: Axes, table: pd.DataFrame, **style: Any) -> None:
    """Draw one curve per column of a table, over its index.

    They are one artist, because a layout measures every artist: a thousand take seconds.
    """
    from matplotlib.collections import LineCollection

    curves = np.stack(np.broadcast_arrays(table.index, table.to_numpy().T), axis=-1)
    axes.add_collection(LineCollection(list(curves), capstyle="projecting", **style))
    axes.autoscale_view()
