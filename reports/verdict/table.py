"""Where one training table lies among the published seeds of its variant.

The table is held against the seeds of both starts of the BatchNorm weights, as third-party runs are
in ``reports.verdict.third_party``. If it is one more run of the same training, its p-value is at
most ``a`` with probability at most ``a``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from hnrnn import published
from hnrnn.published import MEASURES
from hnrnn.variants import VARIANTS
from reports.runs.comparison import rank
from reports.runs.curves import DECIMALS, curves
from reports.runs.published_seeds import published_curves
from reports.statistics.envelope import envelope_p_value
from reports.statistics.ranks import nan_as_largest, rank_p_value
from reports.verdict.third_party import STARTS, Outcomes

FOUND = {
    "ones": "like runs whose BatchNorm weights start at 1 (PyTorch 1.2 or later)",
    "uniform": "like runs whose BatchNorm weights are drawn from U(0, 1) (PyTorch before 1.2)",
    "undecided": "like runs of either start of the BatchNorm weights",
    "neither": "unlike our runs of either start: a rare run, or a training that differs",
}
SEEDS = {"ones": "with BatchNorm weights at 1", "uniform": "with BatchNorm weights from U(0, 1)"}
NOT_THE_WHOLE = (
    "No p-value of a whole table: the p-values are those of these epochs, and hold if the training "
    "was scheduled for all of them and did not stop because of its values."
)


@dataclass(frozen=True)
class Point:
    """One value of a table among the seeds' values of the same epoch."""

    measure: str
    epoch: int
    value: float
    seeds: int
    below: int
    """How many seeds have a smaller value."""
    above: int
    """How many seeds have a larger value."""

    @property
    def beyond(self) -> int:
        """How many seeds the value leaves behind, on the side where these are most."""
        return max(self.below, self.above)

    def sentence(self) -> str:
        """Say how many seeds are lower, or higher."""
        low = self.above > self.below
        if self.beyond == self.seeds:
            where = "the lowest of all" if low else "the highest of all"
            return where if np.isfinite(self.value) else f"not finite, {where}"
        return (
            f"{'lower' if low else 'higher'} than {_percent(self.beyond, self.seeds)} of the seeds"
        )


@dataclass(frozen=True)
class Place:
    """Where a table lies among the seeds of one start.

    ``p`` is the exact p-value of all its epochs and measures together. ``final`` is the accuracy
    after the last epoch of the recipe, with its midrank ``rank`` among the seeds and itself, from 1
    to N + 1, and the two-sided p-value of it; None and NaN where the table does not go so far.
    ``outermost`` are the values that leave the most seeds behind.
    """

    start: str
    seeds: int
    p: float
    final: Point | None
    rank: float
    rank_p: float
    outermost: tuple[Point, ...]

    def lines(self) -> list[str]:
        """Return the p-value as a line, and below it what is said of single values."""
        found = [f"among {self.seeds:,} seeds {SEEDS[self.start]}: p {self.p:.4f}"]
        if self.final:
            rank_ = f"rank {self.rank:,g} of {self.seeds + 1:,}, p {self.rank_p:.4f}"
            value = f"final accuracy {self.final.value:.4f}"
            found.append(f"  {value}: {self.final.sentence()} ({rank_})")
        return found + [f"  {line}" for line in _in_words(self.outermost)]


@dataclass(frozen=True)
class TableJudgement:
    """One table of a variant among the published seeds of both starts.

    ``epochs`` are those that were judged. ``start`` is the start whose seeds do not reject the
    table at 5%: ``ones`` or ``uniform``, ``undecided`` if neither rejects it, ``neither`` if both
    do. ``copy_of`` names the published run that has the same values, if there is one.
    """

    variant: str
    epochs: tuple[int, ...]
    start: str
    ones: Place
    uniform: Place
    copy_of: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the table has every epoch of the variant's recipe."""
        return len(self.epochs) == VARIANTS[self.variant].epochs

    @property
    def p_values(self) -> Mapping[str, float]:
        """The p-value of the whole table, by start; NaN if it is not complete."""
        return {place.start: place.p if self.complete else np.nan for place in self.places}

    @property
    def ranks(self) -> Mapping[str, float]:
        """The midrank of the final accuracy among the seeds and itself, by start."""
        return {place.start: place.rank for place in self.places}

    @property
    def places(self) -> tuple[Place, Place]:
        """Its place among the seeds of each start."""
        return self.ones, self.uniform

    @property
    def nearest(self) -> str:
        """The start among whose seeds the table is least extreme."""
        return max(self.places, key=lambda place: place.p).start

    def lines(self) -> list[str]:
        """Return the judgement as a headline and the lines below it."""
        count = VARIANTS[self.variant].epochs
        there = f"{count} epochs" if self.complete else f"{_spans(self.epochs)} of {count} only"
        notes = [] if self.complete else [NOT_THE_WHOLE]
        if self.copy_of:
            notes.insert(0, f"These are the values of {self.copy_of}: no new run.")
        places = [line for place in self.places for line in place.lines()]
        return [f"{self.variant}, {there}: {FOUND[self.start]}", *notes, *places]

    def __str__(self) -> str:
        return "\n  ".join(self.lines())


def judge_table(
    variant: str, rows: pd.DataFrame, ones: pd.DataFrame, uniform: pd.DataFrame
) -> TableJudgement:
    """Return where ``rows`` lie among the seeds of both starts.

    ``rows`` are what ``usable_rows`` returns; ``ones`` and ``uniform`` are the seeds' curves.
    """
    among_ones, among_uniform = (
        _place(start, variant, rows, ours)
        for start, ours in zip(STARTS, (ones, uniform), strict=True)
    )
    p_values = {"ones_p": among_ones.p, "uniform_p": among_uniform.p}
    outcomes = Outcomes.of(pd.DataFrame([p_values]))
    (start,) = (name for name, count in asdict(outcomes).items() if count)
    epochs = tuple(map(int, rows["epoch"]))
    known = _published_run(variant, rows)
    return TableJudgement(variant, epochs, start, among_ones, among_uniform, known)


def judge_among_published(variant: str, rows: pd.DataFrame) -> TableJudgement:
    """Return where ``rows``, which ``usable_rows`` returns, lie among the published seeds."""
    return judge_table(variant, rows, *(published_curves(variant, start) for start in STARTS))


def _published_run(variant: str, rows: pd.DataFrame) -> str | None:
    """Return the name of the published run whose values these are, at every epoch."""
    if len(rows) < VARIANTS[variant].epochs:
        return None
    names, values = _published_runs(variant)
    apart = np.abs(values - _flat(rows)).max(axis=1)
    return next((names[place] for place in np.flatnonzero(apart < 10.0**-DECIMALS / 2)), None)


@cache
def _published_runs(variant: str) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float64]]]:
    """Return the names and the values of the notebook's run and of third-party runs."""
    theirs = published.third_party_runs()
    others = curves(theirs, variant, key="run")
    own = theirs[theirs["model"] == variant].drop_duplicates("run").set_index("run")
    names = [f"a run published in {own['repository'][run]}" for run in others.index]
    notebook = curves(published.tables(), variant, key="model")
    return ["the notebook's own table", *names], np.vstack([notebook, others])


def _flat(rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the values in the order of curves: all epochs of a measure, then the next one."""
    return rows[list(MEASURES)].to_numpy(dtype=np.float64).T.ravel()


def _place(start: str, variant: str, rows: pd.DataFrame, ours: pd.DataFrame) -> Place:
    epochs = rows["epoch"].tolist()
    measured = _flat(rows)
    decimals = _decimals(measured)
    observed = measured.round(decimals)
    columns = [(str(measure), int(epoch)) for measure in MEASURES for epoch in epochs]
    sample = ours[columns].to_numpy().round(decimals)
    points = [
        Point(*column, value, len(sample), int((values < value).sum()), int((values > value).sum()))
        for column, value, values in zip(
            columns, nan_as_largest(observed).tolist(), nan_as_largest(sample).T, strict=True
        )
    ]
    furthest = max(point.beyond for point in points)
    final, rank_, rank_p = None, np.nan, np.nan
    if epochs[-1] == VARIANTS[variant].epochs - 1:
        final = points[-1]
        rank_ = rank(final.value, sample[:, -1])
        rank_p = rank_p_value(final.value, sample[:, -1])
    return Place(
        start=start,
        seeds=len(sample),
        p=envelope_p_value(observed, sample),
        final=final,
        rank=rank_,
        rank_p=rank_p,
        outermost=tuple(point for point in points if point.beyond == furthest),
    )


def _decimals(values: np.ndarray[Any, np.dtype[np.float64]]) -> int:
    """Return how many decimals a table is printed with, so that ours are rounded alike."""
    finite = values[np.isfinite(values)].round(DECIMALS)
    return next((n for n in range(3, DECIMALS) if (finite == finite.round(n)).all()), DECIMALS)


def _in_words(points: tuple[Point, ...]) -> Iterator[str]:
    """Yield what is said of the outermost values, one text per measure and side."""
    groups: dict[tuple[str, str], list[int]] = {}
    for point in points:
        groups.setdefault((point.measure, point.sentence()), []).append(point.epoch)
    for (measure, where), epochs in groups.items():
        yield f"{measure} of {_spans(epochs)}: {where}"


def _spans(epochs: list[int] | tuple[int, ...]) -> str:
    """Return epochs in ascending order as text: ``epochs 0 to 3, 5``."""
    breaks = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(epochs)) if b > a + 1), len(epochs)]
    spans = [(epochs[first], epochs[after - 1]) for first, after in pairwise(breaks)]
    text = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in spans)
    return f"epoch{'s' if len(epochs) > 1 else ''} {text}"


def _percent(count: int, seeds: int) -> str:
    """Return a share as a percentage that does not read 100%."""
    share = min(100 * count / seeds, 99.9)
    digits = 0 if 1 <= share <= 99 else 1
    return f"{share:.{digits}f}%"
