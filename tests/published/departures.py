"""The section on the computation: every run held against the reference run of its seed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from tests.published.page import DATA, MEASURES, PUBLISHED, Page, Records

HEADING = "### The same computation?"
KEYS = ["initialisation", "variant", "seed"]
GROUP = ["variant", "backend", "initialisation"]
UNITS = {"train_loss": 0.5, "valid_loss": 2.0, "accuracy": 2.0}


def check(page: Page, records: Records) -> None:
    """Claim the table, and what the gate and the first sentence say of it."""
    values = _held(records)
    limits = pd.read_csv(DATA / "rounding.csv").rename(columns={"column": "measure"})
    limits["limit"] = 3 * limits[["furthest", "spread"]].max(axis=1)
    own = pd.read_csv(DATA / "rounding_by_seed.csv").rename(
        columns={"column": "measure", "furthest": "own"}
    )
    cell = ["initialisation", "variant", "epoch", "measure"]
    values = values.merge(limits, on=cell).merge(own, on=[*cell, "seed"], how="left")
    values["own"] = 3 * values[["own", "spread"]].max(axis=1).where(values["own"].notna())
    rows = [_row(group) for _, group in values.groupby(GROUP)]
    rows.sort(key=lambda row: row[0][2] != "another computation")
    page.claim_table(HEADING, [row for row, _ in rows])
    runs, ours = values["run_id"].nunique(), values[values["ours"]]["run_id"].nunique()
    configurations = len(values.drop_duplicates(GROUP[:2]))
    beyond = values[values["distance"] > values["limit"]]
    page.claim(
        f"{runs:,} runs of {configurations} configurations are the same to rounding as the runs of "
        f"their seeds ({runs - ours:,} against fastai 1.0.61's own, {ours:,} against our published "
        f"runs); {beyond['run_id'].nunique()} single runs lie further off, as rounding sometimes "
        "makes them"
    )
    lacking = records.runs[~records.runs["run_id"].isin(values["run_id"])]
    other = lacking.merge(pd.read_csv(DATA / "reference_weights.csv")[KEYS], on=KEYS)
    unknown = len(lacking) - len(other)
    counts = [f"{unknown} runs: no reference run of its seed"] if unknown else []
    counts += [f"{len(other)} runs: other initial weights"] if len(other) else []
    if counts:
        words = "; ".join(counts)
        page.claim(f"Without a reference: {words}.", f"without a reference, {words} |")
    _claim_nearest(page, rows)
    _claim_odd_runs(page, values)


def _claim_nearest(page: Page, rows: list[tuple[list[str], float]]) -> None:
    """Claim what the gate says of the configuration that is nearest to its limit."""
    (variant, backend, _, place, *_, start), nearness = max(rows, key=lambda row: row[1])
    name = f"{variant} {backend}{'' if start == 'ones' else f' {start}'}"
    page.claim(f"nearest to its limit is {name}, {place}, at {nearness:.0%} of it")


def _claim_odd_runs(page: Page, values: pd.DataFrame) -> None:
    """Claim the runs that are beyond a limit on their own; of many, the first five."""
    beyond = values[values["distance"] > values["limit"]]
    order = beyond["measure"].map(MEASURES.index)
    first = beyond.assign(order=order).sort_values([*GROUP[:2], "seed", "epoch", "order"])
    first = first.drop_duplicates("run_id")
    for row in first.head(5).to_dict(orient="records"):
        departure = row["distance"] / row["spread"]
        words = f"{departure:,.0f}" if departure >= 10 else f"{departure:.1f}"
        page.claim(
            f"{row['variant']} {row['backend']} seed {row['seed']} alone is further from its "
            f"reference than healthy executions were (epoch {row['epoch']}, {row['measure']}, "
            f"{words} rounding spreads)"
        )
    if len(first) > 5:
        page.claim(f"{len(first) - 5} more runs are as far, each alone.")


def _held(records: Records) -> pd.DataFrame:
    """Return one row per run, epoch and measure with its distance from the run's reference."""
    runs = records.runs[[*KEYS, "run_id", "backend", "initial_weights_sha256"]]
    weights = pd.read_csv(DATA / "reference_weights.csv")
    known = runs.merge(weights, on=[*KEYS, "initial_weights_sha256"])["run_id"]
    theirs = pd.read_csv(DATA / "reference_runs.csv").assign(ours=False)
    other_runs = pd.read_parquet(PUBLISHED / "ensemble" / "runs")
    starts = other_runs[["run_id", "initialisation", "initial_weights_sha256"]]
    second = pd.read_parquet(PUBLISHED / "ensemble" / "epochs").merge(starts, on="run_id")
    later = runs.merge(weights[KEYS], on=KEYS, how="left", indicator="place")
    later = later[later["place"] == "left_only"].merge(
        other_runs[[*KEYS, "initial_weights_sha256"]], on=[*KEYS, "initial_weights_sha256"]
    )["run_id"]
    columns = [*KEYS, "epoch", *MEASURES]
    parts = []
    for names, reference, ours in ((known, theirs, False), (later, second, True)):
        epochs = records.exact[records.exact["run_id"].isin(names)]
        both = epochs.merge(reference[columns], on=columns[:4], suffixes=("", "_there"))
        parts += [_distances(both, measure, ours=ours) for measure in MEASURES]
    return pd.concat(parts, ignore_index=True)


def _distances(both: pd.DataFrame, measure: str, *, ours: bool) -> pd.DataFrame:
    there = both[f"{measure}_there"].abs()
    last_digit = 10 ** (np.floor(np.log10(there.clip(lower=1e-300))) - 6) * 1.0001
    distance = (both[measure] - both[f"{measure}_there"]).abs()
    same = distance <= (0 if ours else UNITS[measure] * last_digit)
    rows = both[[*GROUP, "seed", "run_id", "epoch"]]
    return rows.assign(measure=measure, distance=distance, same=same, ours=ours)


def _row(group: pd.DataFrame) -> tuple[list[str], float]:
    """Return the row of a configuration, and how near its limit it is."""
    cells = sorted(_cells(group), key=lambda cell: (cell[0], MEASURES.index(cell[1])))
    worst = next((c for c in cells if c[2] > 1), max(cells, key=lambda c: (c[2], c[0])))
    epoch, measure, nearness, rows = worst
    verdict = "same digits" if group["same"].all() else "same to rounding"
    departure = (rows["distance"] / rows["spread"]).median()
    beyond = (rows["distance"] / rows["own"].fillna(rows["limit"]) > 1).sum()
    of_ours = group[group["ours"]]["seed"].nunique()
    return [
        *(group[name].iloc[0] for name in ("variant", "backend")),
        "another computation" if nearness > 1 else verdict,
        f"epoch {epoch}, {measure}",
        f"{departure:,.0f}" if departure >= 10 else f"{departure:.1f}",
        f"{nearness:.2f}",
        f"{rows['distance'].median():.1e}",
        str(group["seed"].nunique()),
        str(beyond),
        str(of_ours or "-"),
        group["initialisation"].iloc[0],
    ], nearness


def _cells(group: pd.DataFrame) -> Iterator[tuple[int, str, float, pd.DataFrame]]:
    """Yield each epoch and measure with how near its limit it is."""
    for (epoch, measure), rows in group.groupby(["epoch", "measure"]):
        ratios = rows["distance"] / rows["limit"]
        near = [np.sort(ratios)[::-1][_most_that_jump(len(ratios))]]
        lone = ratios[~rows["ours"]]
        if len(lone):  # of 20 seeds, two have to be 10 times beyond the limit; of fewer, one
            near.append(np.sort(lone)[::-1][len(lone) // 20] / 10)
        own = (rows["distance"] / rows["own"]).dropna()
        if len(own):
            least = math.ceil(0.8 * len(own) - 1e-9)
            if stats.binom.sf(least - 1, len(own), rows["jump_rate"].iloc[0]) <= 1e-4:
                near.append(_fourth_of_five(own))
        yield int(epoch), str(measure), max(near), rows


def _most_that_jump(seeds: int) -> int:
    """Return how many seeds may have jumped if one in twenty does, short of four of five."""
    by_chance = int(stats.binom.isf(1e-4, seeds, 0.05))
    return min(by_chance, math.ceil(0.8 * seeds - 1e-9) - 1)


def _fourth_of_five(ratios: pd.Series) -> float:
    """Return what four of five seeds reach."""
    return float(np.sort(ratios)[::-1][math.ceil(0.8 * len(ratios) - 1e-9) - 1])
