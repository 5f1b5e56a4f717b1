"""What ``hnrnn`` offers of this package: to judge a table and to draw it, and the seeds for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hnrnn import published
from hnrnn.variants import VARIANTS, Variant, find_variant
from reports.runs.published_seeds import published_seeds
from reports.runs.table_rows import usable_rows
from reports.verdict.table import TableJudgement, judge_among_published
from reports.verdict.third_party import STARTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def judge(table: Any, variant: str | Variant) -> TableJudgement:
    """Return where a training table lies among the published seeds of its variant.

    ``table`` is a DataFrame with ``train_loss``, ``valid_loss`` and ``accuracy``, one row per
    epoch, and ``epoch`` if rows are missing; or a fitted fastai ``Learner`` or its recorder.
    Values are compared as printed, to six decimals.

    Raises ValueError for an unknown variant, and for a table that cannot be one of the variant's.
    """
    name = _known(variant)
    return judge_among_published(name, usable_rows(_frame(table, name), name))


def published_table(variant: str | Variant) -> pd.DataFrame:
    """Return the notebook's table of a variant, one row per epoch, as it was printed.

    The columns are ``epoch``, ``train_loss``, ``valid_loss``, ``accuracy`` and ``seconds``. Raises
    ValueError for an unknown variant.
    """
    tables = published.tables()
    own = tables[tables["model"] == _known(variant)]
    return own.drop(columns="model").reset_index(drop=True)


def seed_distribution(variant: str | Variant, initialisation: str = "ones") -> pd.DataFrame:
    """Return the published seeds of a variant, one row per seed and epoch.

    The columns are ``seed``, ``epoch``, ``train_loss``, ``valid_loss`` and ``accuracy``.
    ``initialisation`` says how the BatchNorm weights start: at 1 (``ones``, 1,000 seeds), or drawn
    from U(0, 1) as before PyTorch 1.2 (``uniform``, 256 seeds). Raises ValueError for an unknown
    variant or start.
    """
    if initialisation not in STARTS:
        raise ValueError(
            f"unknown initialisation {initialisation!r}: choose from {', '.join(STARTS)}"
        )
    return published_seeds(_known(variant), initialisation).drop(columns="variant")


def plot(variant: str | Variant, table: Any = None) -> np.ndarray[Any, np.dtype[Any]]:
    """Draw the report's figure of a variant, with a table in it, and return its three axes.

    ``table`` is one that ``judge`` takes. The shaded band is the envelope of its test; the seeds
    are those of the start that fits it best. Like the plots of pandas, the figure belongs to
    pyplot: a notebook shows it below the cell, and a script with ``plt.show()``.

    Raises ValueError as ``judge`` does.
    """
    name = _known(variant)
    rows, start = None, STARTS[0]
    if table is not None:
        rows = usable_rows(_frame(table, name), name)
        start = judge_among_published(name, rows).nearest
    from matplotlib import pyplot as plt

    from reports.figures.models import curves

    figure = curves(
        name,
        published_seeds(name, start),
        published.tables(),
        published.third_party_runs(),
        table=rows,
        start=start,
        make=plt.figure,
    )
    axes: list[Axes] = figure.axes
    return np.array(axes)


def _known(variant: str | Variant) -> str:
    """Return the name of one of the notebook's variants; raise ValueError for any other."""
    found = find_variant(variant)
    if VARIANTS.get(found.name) != found:
        raise ValueError(f"{found.name} is not the notebook's recipe: it has no published seeds")
    return found.name


def _frame(table: Any, variant: str) -> pd.DataFrame:
    """Return a DataFrame of a table, or of what the recorder of a fastai learner has kept."""
    if isinstance(table, pd.DataFrame):
        return table
    recorder = getattr(table, "recorder", table)
    try:
        names = list(recorder.metric_names)[1:]  # but for the epoch
        values = [list(row) for row in recorder.values]  # noqa: PD011  # a list of fastai's
    except (AttributeError, TypeError) as error:
        if recorder is table and not hasattr(table, "learn"):
            kinds = "a DataFrame, a fastai Learner or its recorder"
            raise ValueError(f"the table must be {kinds}, not {type(table).__name__}") from error
        raise ValueError("the learner has not been fitted yet: it has no table") from error
    scheduled, recipe = getattr(recorder, "n_epoch", None), VARIANTS[variant].epochs
    if scheduled not in (None, recipe):
        raise ValueError(
            f"the learner was fitted for {scheduled} epochs, and {variant} is trained for {recipe}"
        )
    rows = [dict(zip(names, row, strict=False)) for row in values]
    return pd.DataFrame(rows, columns=[name for name in names if name != "time"])
