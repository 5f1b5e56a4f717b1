"""Rank tests by counting, one value at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from tests.published.page import MEASURES, MODELS, Records


def as_curves(frame: pd.DataFrame, key: str) -> np.ndarray:
    """Return a row a run: training losses, validation losses, accuracies."""
    parts = [frame.pivot_table(index=key, columns="epoch", values=name) for name in MEASURES]
    return np.hstack([part.to_numpy() for part in parts])


def envelope_p(observed: np.ndarray, sample: np.ndarray) -> float:
    """Return the share of curves at least as extreme, by comparing sorted ranks one by one."""
    curves = np.vstack([observed, sample])
    low = np.array([stats.rankdata(column) for column in curves.T]).T
    high = np.array([stats.rankdata(-column) for column in curves.T]).T
    keys = [tuple(sorted(row)) for row in np.minimum(low, high)]
    return sum(key <= keys[0] for key in keys) / len(keys)


def area_p(observed: np.ndarray, sample: np.ndarray) -> float:
    """Return the share of curves at least as extreme by the area measure, column by column."""
    curves = np.vstack([observed, sample])
    n = len(curves)
    ranks = np.array([_continuous_ranks(column) for column in curves.T]).T
    ranks = np.minimum(ranks, n - ranks)
    extreme = np.ceil(ranks.min(axis=1))[:, np.newaxis]
    measures = extreme[:, 0] - np.where(ranks < extreme, extreme - ranks, 0).mean(axis=1)
    return float((measures <= measures[0]).mean())


def _continuous_ranks(column: np.ndarray) -> list[float]:
    """Return a value's place between its two neighbours, or its midrank where it has equals."""
    y = sorted(column)
    n, ranks = len(y), []
    for value in column:
        at, equals = y.index(value), y.count(value)
        if equals > 1:
            ranks.append(at + equals / 2)
        elif at == 0:
            ranks.append(float(np.exp(-(y[1] - y[0]) / (y[-1] - y[1]))))
        elif at == n - 1:
            ranks.append(n - float(np.exp(-(y[-1] - y[-2]) / (y[-2] - y[0]))))
        else:
            ranks.append(at + (value - y[at - 1]) / (y[at + 1] - y[at - 1]))
    return ranks


def rank_p(value: float, sample: np.ndarray) -> float:
    """Return the two-sided rank p-value."""
    tails = [1 + sum(x <= value for x in sample), 1 + sum(x >= value for x in sample)]
    return min(1.0, 2 * min(tails) / (len(sample) + 1))


def rank(value: float, sample: np.ndarray) -> str:
    """Return the place among the sample as the page writes it."""
    place = 1 + (sample < value).sum() + (sample == value).sum() / 2
    return f"{place:g} of {len(sample) + 1}"


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjustment."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def certificate(records: Records) -> list[tuple[int, list[float], list[float]]]:
    """Return each model's seeds, four p-values, and Holm's.

    The p-values are those of the table, of the table by area, of the accuracy and of the final one.
    """
    p_values, seeds = [], []
    for model in MODELS:
        theirs = as_curves(records.table(model).reset_index(), "model")[0]
        ours = as_curves(records.own(model), "seed")
        third = len(theirs) // 3
        p_values.append(
            [
                envelope_p(theirs, ours),
                area_p(theirs, ours),
                envelope_p(theirs[-third:], ours[:, -third:]),
                rank_p(theirs[-1], ours[:, -1]),
            ]
        )
        seeds.append(len(ours))
    columns = [holm(list(column)) for column in zip(*p_values, strict=True)]
    adjusted = [list(row) for row in zip(*columns, strict=True)]
    return list(zip(seeds, p_values, adjusted, strict=True))
