"""The rows of one training table, checked: what people have may be no table of a variant."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS

ACCURACIES = ("accuracy", "accuracy_of_last", "acc4")
"""The names that the metric of a variant has; ``accuracy`` comes first."""


def usable_rows(table: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return ``epoch`` and the measures of a table, without epochs that lack a value.

    Without ``epoch``, as a column or as the index, the rows count from 0. A loss that is NaN or
    infinite belongs to a diverged run, and stays, if the accuracy beside it is a number; a training
    loss must diverge with its validation loss.

    Raises ValueError if the table cannot be one of the variant's: a column is missing or holds
    text, an accuracy is no share, or there are other epochs than the recipe's.
    """
    if table.index.name == "epoch":
        table = table.reset_index()
    names = [*MEASURES[:-1], next((name for name in ACCURACIES if name in table), ACCURACIES[0])]
    if missing := [name for name in names if name not in table]:
        raise ValueError(f"the table has no column {missing[0]}: its columns are {_named(table)}")
    values = {m: _numbers(table[n], n) for m, n in zip(MEASURES, names, strict=True)}
    given = table["epoch"] if "epoch" in table else pd.Series(range(len(table)))
    epochs = _numbers(given, "epoch")
    rows = pd.DataFrame({"epoch": epochs, **values}).sort_values("epoch", ignore_index=True)
    _check_epochs(rows["epoch"], variant)
    missing_values = rows["accuracy"].isna() | (
        rows["train_loss"].isna() & rows["valid_loss"].notna()
    )
    rows = rows[~missing_values].reset_index(drop=True)
    if rows.empty:
        raise ValueError("the table has no epoch with values in all of its columns")
    if not rows["accuracy"].between(0, 1).all():
        raise ValueError(f"accuracy must be a share from 0 to 1, not {rows['accuracy'].max():g}")
    return rows.astype({"epoch": np.int64})


def _named(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns)) or "none"


def _numbers(column: pd.Series[Any], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    texts = [value for value in column if isinstance(value, str)]
    if texts:
        raise ValueError(f"{name} holds text, such as {texts[0]!r}: make it numbers first")
    try:
        return np.array([np.nan if value is None else float(value) for value in column])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} holds values that are no numbers ({error})") from error


def _check_epochs(epochs: pd.Series[float], variant: str) -> None:
    """Raise ValueError unless these, sorted, are different epochs of the variant's recipe."""
    count = VARIANTS[variant].epochs
    if len(epochs) > count:
        raise ValueError(
            f"{variant} is trained for {count} epochs, and the table has {len(epochs)}"
        )
    wrong = epochs[~epochs.isin(range(count)) | epochs.duplicated()]
    if len(wrong):
        raise ValueError(
            f"the epochs of {variant} are 0 to {count - 1}, each once: "
            f"{wrong.iloc[-1]:g} is another or stands twice"
        )
