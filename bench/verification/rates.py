"""How often the limits alarm on healthy kinds that they have not seen, and find injected faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from scipy.stats import binomtest

from bench.verification.limits import in_cells, rounding_table
from hnrnn.departures import ANOTHER_COMPUTATION, departures, of_configurations

SEEDS = (1, 2, 5)
"""Seeds of a night that the rates are given for."""
EPOCHS = (1, 2, 3)
CONFIGURATION = ["kind", "initialisation", "variant"]
GROUP = [*CONFIGURATION, "group"]


def verdicts(
    runs: pd.DataFrame, rounding: pd.DataFrame, by_seed: pd.DataFrame, *, seeds: int, epochs: int
) -> pd.DataFrame:
    """Return the verdicts of nights of so many ``seeds`` and ``epochs``, one row per night.

    ``runs`` are as in ``bench.verification.limits``, with one draw per seed. The nights of a kind
    and variant share no seed; seeds that fill no night are left out.
    """
    runs = runs[runs["epoch"] < epochs]
    places = runs.groupby(CONFIGURATION)["seed"].rank(method="dense").astype(int) - 1
    groups = runs.assign(group=places // seeds)
    counts = groups.groupby(GROUP)["seed"].transform("nunique")
    cells = in_cells(groups[counts == seeds]).assign(same=False)
    cells = cells.merge(groups[[*GROUP, "seed"]].drop_duplicates())
    return of_configurations(departures(cells, rounding, by_seed), GROUP)


def detection(runs: pd.DataFrame, rounding: pd.DataFrame, by_seed: pd.DataFrame) -> pd.DataFrame:
    """Return how many nights with each fault are found, by variant and number of seeds and epochs.

    The columns are those of ``CONFIGURATION``, ``seeds``, ``epochs``, ``nights``, ``found``,
    ``undecided`` (nights that more seeds have to decide), and the median over the nights of
    ``departure`` and ``nearness`` in the cell that decides. A kind has no rows for more epochs than
    were trained.
    """
    parts = [
        verdicts(runs, rounding, by_seed, seeds=seeds, epochs=epochs).assign(
            nights=1, seeds=seeds, epochs=epochs
        )
        for seeds in SEEDS
        for epochs in EPOCHS
    ]
    measured = runs.groupby("kind")["epoch"].max() + 1
    found = pd.concat(parts)
    found = found[found["epochs"] <= found["kind"].map(measured)]
    found["found"] = found["verdict"] == ANOTHER_COMPUTATION
    groups = found.groupby([*CONFIGURATION, "seeds", "epochs"])
    return groups.agg(
        nights=("nights", "sum"),
        found=("found", "sum"),
        undecided=("undecided", "sum"),
        departure=("departure", "median"),
        nearness=("nearness", "median"),
    ).reset_index()


def false_alarms(
    runs: pd.DataFrame, predictions: Mapping[str, int], families: Mapping[str, str]
) -> pd.DataFrame:
    """Return how many healthy nights of each kind alarm under the limits of all other kinds.

    Kinds of one family are left out together. The columns are those of ``detection``, with
    ``alarms`` in place of ``found``.
    """
    runs = runs[runs["epoch"] < max(EPOCHS)]
    of_family = runs["kind"].map(families)
    parts = []
    for family in of_family.unique():
        limits = rounding_table(runs[of_family != family], predictions, families)
        own = runs[(of_family == family) & (runs["draw"] == 0)]
        parts.append(detection(own, *limits))
    return pd.concat(parts, ignore_index=True).rename(columns={"found": "alarms"})


def false_alarms_of_seeds(
    runs: pd.DataFrame, predictions: Mapping[str, int], families: Mapping[str, str]
) -> pd.DataFrame:
    """Return how many healthy nights alarm under the limits of the same kinds on other seeds.

    The limits for the seeds that are even follow from those that are odd, and the other way round.
    So no seed has a limit of its own. The columns are those of ``false_alarms``.
    """
    runs = runs[runs["epoch"] < max(EPOCHS)]
    odd = runs["seed"] % 2 == 1
    parts = [
        detection(own[own["draw"] == 0], *rounding_table(others, predictions, families))
        for own, others in ((runs[odd], runs[~odd]), (runs[~odd], runs[odd]))
    ]
    keys = [*CONFIGURATION, "seeds", "epochs"]
    both = pd.concat(parts).groupby(keys)
    found = both.agg(
        nights=("nights", "sum"),
        alarms=("found", "sum"),
        undecided=("undecided", "sum"),
        departure=("departure", "median"),
        nearness=("nearness", "max"),
    )
    return found.reset_index()


def interval(alarms: int, nights: int) -> tuple[float, float]:
    """Return the 95% Clopper-Pearson interval of a rate."""
    found = binomtest(alarms, nights).proportion_ci(method="exact")
    return float(found.low), float(found.high)


def summed(rates: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """Return the nights and the count of ``column`` by some columns, with the rate's interval.

    The count of ``undecided`` nights stands beside it.
    """
    sums = rates.groupby(list(by))[["nights", column, "undecided"]].sum().reset_index()
    bounds = [interval(*pair) for pair in zip(sums[column], sums["nights"], strict=True)]
    return sums.assign(low=[low for low, _ in bounds], high=[high for _, high in bounds])
