"""The published results of the notebook, of fastai 1.0.61 and of other people, as data.

- ``tables.csv``: the notebook's eight training tables, 92 rows, with the columns ``model``,
  ``epoch``, ``train_loss``, ``valid_loss``, ``accuracy`` and ``seconds`` (rounded, as printed).
- ``facts.json``: the deterministic outputs of the notebook's cells 5 to 43 and 48, and those of
  cells 56 and 59 about the data with bptt 20.
- ``reference_runs.csv``: runs of fastai 1.0.61 itself (PyTorch 2.13, CPU, one thread), with the
  columns ``initialisation``, ``variant``, ``seed``, ``epoch``, ``train_loss``, ``valid_loss`` and
  ``accuracy`` to seven digits: seeds 0 to 59 of every variant, 1000 to 1999 of ``Model2`` (the
  accepted finding rests on them), and 0 to 14 of every variant with BatchNorm weights drawn from
  U(0, 1) as in PyTorch before 1.2.
- ``reference_weights.csv``: ``initial_weights_sha256`` of each of these runs, in float32.
- ``rounding.csv`` and ``rounding_by_seed.csv``: how far healthy executions of a seed are from its
  reference run, per variant, epoch and column, and per seed too; ``hnrnn.departures`` says what the
  columns mean, and ``bench rounding`` measures them.
- ``stages.json``: what the healthy code does at each stage of an epoch with seed 1, by variant and
  dtype; ``bench.verification.stages`` says what it holds.
- ``third_party_runs.csv``: 107 runs of the same models, recipes and batches by other people, read
  from the outputs in public copies of the course's notebooks (course-v3, course-nlp and their
  forks), with the columns ``model``, ``run`` (numbered per model), ``repository``, ``committed``
  (a date), ``epoch``, ``train_loss``, ``valid_loss`` and ``accuracy``. The notebook's own runs are
  not among them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

MEASURES = ("train_loss", "valid_loss", "accuracy")
"""The columns of a training table that runs are compared with."""


@dataclass(frozen=True)
class Fact:
    """One output of the notebook: the number of its cell, a description and the value."""

    cell: int
    key: str
    value: Any


@cache
def _read(name: str) -> pd.DataFrame:
    with (files(__name__) / name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def tables() -> pd.DataFrame:
    """Return the notebook's eight training tables, one row per model and epoch."""
    return _read("tables.csv").copy()


def reference_runs() -> pd.DataFrame:
    """Return the runs of fastai 1.0.61, one row per initialisation, variant, seed and epoch."""
    return _read("reference_runs.csv").copy()


def reference_weights() -> pd.DataFrame:
    """Return the hash of the initial weights of each run in ``reference_runs``."""
    return _read("reference_weights.csv").copy()


def rounding() -> pd.DataFrame:
    """Return the rounding spread, one row per variant, epoch and column."""
    return _read("rounding.csv").copy()


def rounding_by_seed() -> pd.DataFrame:
    """Return the furthest healthy distance of each seed that was measured often, in each cell."""
    return _read("rounding_by_seed.csv").copy()


def stages() -> dict[str, dict[str, dict[str, list[float] | str]]]:
    """Return what happens at each stage of an epoch, by variant, dtype and name."""
    found: dict[str, dict[str, dict[str, list[float] | str]]] = json.loads(
        (files(__name__) / "stages.json").read_text(encoding="utf-8")
    )
    return found


def third_party_runs() -> pd.DataFrame:
    """Return the runs that other people published, one row per model, run and epoch."""
    return _read("third_party_runs.csv").copy()


def facts() -> list[Fact]:
    """Return the notebook's deterministic outputs, in the order of its cells."""
    text = (files(__name__) / "facts.json").read_text(encoding="utf-8")
    return [Fact(**fact) for fact in json.loads(text)]
