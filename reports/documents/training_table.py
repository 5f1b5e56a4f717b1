"""A training table as fastai prints it, wherever it was found."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class TrainingTable:
    """One training table found in a file.

    ``source`` says where, in words: ``human_numbers.ipynb, cell 31, table 1 of 2``. ``rows`` has
    the columns ``epoch`` (int64), ``train_loss``, ``valid_loss`` and ``accuracy`` (float64), one
    row per printed epoch; epochs count from 0, and a value that the file does not have is NaN.
    ``code`` is the source of the table's cell and of earlier cells that define what it uses, where
    there is any.
    """

    source: str
    rows: pd.DataFrame
    code: str = ""
