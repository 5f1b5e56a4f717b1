"""What the notebook and others published, as data; needs neither torch nor fastai.

``tables.csv``: its eight training tables, 92 rows: ``model, epoch, train_loss, valid_loss,
accuracy, seconds`` (``seconds`` is its rounded time column). ``facts.json``: every deterministic
output of its cells 5 to 43 and 48, and what cells 56 and 59 say of the data with bptt 20.
``third_party_runs.csv``: 107 runs of the same models, recipes and batches that others published,
read from the stored outputs of public copies of the course's notebooks (course-v3, course-nlp and
their forks): ``model, run`` (a number within the model)``, repository, committed`` (a date)``,
epoch, train_loss, valid_loss, accuracy``. The notebook's own runs are not among them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

MEASURES = ("train_loss", "valid_loss", "accuracy")
"""The columns of a training table that a run can be held against."""


@dataclass(frozen=True)
class Fact:
    """One output of the notebook: its cell's number, what it is, and its value."""

    cell: int
    key: str
    value: Any


@cache
def _read(name: str) -> pd.DataFrame:
    with (files(__name__) / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def tables() -> pd.DataFrame:
    """Return the notebook's eight training tables, one row a model and epoch."""
    return _read("tables.csv").copy()


def third_party_runs() -> pd.DataFrame:
    """Return the runs that other people published, one row a model, run and epoch."""
    return _read("third_party_runs.csv").copy()


def facts() -> list[Fact]:
    """Return the notebook's deterministic outputs in the order of its cells."""
    text = (files(__name__) / "facts.json").read_text(encoding="utf-8")
    return [Fact(**fact) for fact in json.loads(text)]
