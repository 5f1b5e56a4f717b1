"""The departures of a store's runs from fastai 1.0.61's own, by configuration."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from bench.errors import UsageError
from bench.store.records import FAILED, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from bench.verification.measurement import REFERENCE_SEEDS
from hnrnn.departures import (
    ANOTHER_COMPUTATION,
    FAR,
    NO_REFERENCE,
    SAME_DIGITS,
    SAME_TO_ROUNDING,
    UNEXPLAINED,
    WIDER,
    departures,
    of_configurations,
)
from hnrnn.distances import OTHER_WEIGHTS, distances, reasons_without_reference
from hnrnn.published import MEASURES, reference_runs, reference_weights, rounding, rounding_by_seed
from hnrnn.variants import VARIANTS

CONFIGURATION = ["variant", "backend"]
NOT_RUN = "not run"
"""The verdict of a configuration whose runs failed or were skipped."""


def judge(contents: Contents) -> pd.DataFrame:
    """Return the verdict of each configuration in a store, one row each.

    Beside the columns of ``hnrnn.departures.of_configurations`` there is ``reason``: why some of
    the configuration's runs could not be compared; None where all were. A configuration in which a
    run of a reference seed started from other initial weights is another computation.
    """
    runs = contents.runs
    finished = runs[~runs["status"].isin([FAILED, SKIPPED])]
    reasons = reasons_without_reference(finished, reference_weights())
    compared = finished[reasons.isna()]
    epochs = contents.epochs[["run_id", "epoch", *MEASURES]].merge(
        compared[["run_id", *CONFIGURATION, "seed", "initialisation", "device"]], on="run_id"
    )
    spread = rounding()
    found = departures(distances(epochs, reference_runs()), spread, rounding_by_seed())
    known = found["device"].isin({*" ".join(spread["devices"]).split()})
    verdicts = [
        of_configurations(group, CONFIGURATION, wider=wider)
        for group, wider in ((found[known], 1.0), (found[~known], WIDER))
        if len(group)
    ]
    why = pd.concat([runs["error"].dropna(), reasons.dropna()]).rename("reason")
    why = runs[CONFIGURATION].join(why).dropna().groupby(CONFIGURATION).first()
    table = runs[CONFIGURATION].drop_duplicates()
    for part in (pd.concat(verdicts) if verdicts else None, why.reset_index()):
        if part is not None:
            table = table.merge(part, on=CONFIGURATION, how="left")
    if not verdicts:
        table = table.assign(verdict=None, seeds=0, undecided=False, nearness=0.0)
    table["seeds"], table["undecided"] = table["seeds"].fillna(0), table["undecided"].eq(True)  # noqa: FBT003
    done = table[CONFIGURATION].merge(
        finished[CONFIGURATION].drop_duplicates(), indicator=True, how="left"
    )
    lacking = (done["_merge"] == "both").map({True: NO_REFERENCE, False: NOT_RUN}).to_numpy()
    table["verdict"] = table["verdict"].where(table["verdict"].notna(), lacking)
    others = (reasons == OTHER_WEIGHTS) & finished["initial_weights_sha256"].notna()
    table = _with_other_weights(table, finished[others])
    places = {name: place for place, name in enumerate(VARIANTS)}
    return table.sort_values(
        CONFIGURATION,
        key=lambda names: names.map(places).fillna(names) if names.name == "variant" else names,
        ignore_index=True,
    )


def _with_other_weights(table: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the verdicts, given the runs whose initial weights are not their seed's."""
    count = table[CONFIGURATION].merge(
        others.groupby(CONFIGURATION).size().rename("count").reset_index(), how="left"
    )["count"]
    started = count.notna().to_numpy()
    table = table.assign(seeds=table["seeds"] + count.fillna(0).to_numpy())
    table.loc[started, ["departure", "nearness"]] = [math.nan, math.inf]
    table.loc[started, "undecided"] = False
    table.loc[started, "verdict"] = ANOTHER_COMPUTATION
    table.loc[started, "reason"] = [
        f"{OTHER_WEIGHTS} ({found:.0f} of {counted(int(seeds), 'seed')})"
        for found, seeds in zip(count[started], table.loc[started, "seeds"], strict=True)
    ]
    return table


def check_seeds(variants: Sequence[str], seeds: Sequence[int]) -> None:
    """Raise UsageError for a seed without a reference run of one of the variants."""
    weights, count = reference_weights().query("initialisation == 'ones'"), REFERENCE_SEEDS["ones"]
    for name in variants:
        unknown = set(seeds).difference(weights.loc[weights["variant"] == name, "seed"])
        if unknown:
            raise UsageError(
                f"--seeds: {name} has no reference run of seed {min(unknown)}: choose from 0 to "
                f"{count - 1} (`--seeds {count}` means all of these)"
            )


def near(table: pd.DataFrame) -> pd.Series:
    """Return which configurations more seeds would decide: those that rounding may yet explain.

    They are beyond a limit, but not ``FAR`` beyond that of a single seed.
    """
    departs = table["verdict"].isin([ANOTHER_COMPUTATION, UNEXPLAINED])
    return table["undecided"] | (departs & (table["nearness"] < FAR))


def exit_code(table: pd.DataFrame) -> int:
    """Return 1 if a configuration departs or was not run, 4 if one is unexplained, else 0.

    Where nothing could be compared with a reference run, nothing is known: that is 4 too.
    """
    verdicts = set(table["verdict"])
    if verdicts & {ANOTHER_COMPUTATION, NOT_RUN}:
        return 1
    return 0 if verdicts <= {SAME_DIGITS, SAME_TO_ROUNDING} else 4


def as_text(table: pd.DataFrame) -> str:
    """Return the verdicts as a table for people, one line per configuration."""
    lines = [("variant", "backend", "verdict", "first or largest departure")]
    lines += [
        (row["variant"], row["backend"], row["verdict"], _evidence(row))
        for row in table.to_dict(orient="records")
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]
        ).rstrip()
        for line in lines
    )


def _evidence(row: Mapping[Hashable, Any]) -> str:
    """Say where and how far a configuration departs, or why it could not be compared."""
    if pd.isna(row.get("departure")):
        return str(row["reason"])
    where = f"{row['column']} after epoch {row['epoch']:.0f}"
    text = f"{where}: {row['distance']:.0e}, {row['departure']:.3g} spreads"
    if row["seeds"] > 1:
        text += f", {row['seeds_beyond']:.0f} of {row['seeds']:.0f} seeds beyond their limits"
    return text


def closing_sentence(table: pd.DataFrame, epochs: int) -> str:
    """Say what was shown with so many epochs."""
    counts = table["verdict"].value_counts()
    same = counts.get(SAME_DIGITS, 0) + counts.get(SAME_TO_ROUNDING, 0)
    text = f"{same} of {len(table)} configurations compute what fastai 1.0.61 computed"
    compared = table[table["seeds"] > 0]
    if len(compared):
        trained = {min(epochs, VARIANTS[name].epochs) for name in compared["variant"]}
        text += f" ({counted(int(compared['seeds'].min()), 'seed')}, "
        text += f"{'up to ' * (len(trained) > 1)}{counted(max(trained), 'epoch')})"
    if counts.get(SAME_DIGITS):
        text += f", {counts[SAME_DIGITS]} of them to the last digit"
    parts = [
        f"{counts[verdict]} {words}"
        for verdict, words in (
            (
                ANOTHER_COMPUTATION,
                _verb(counts, ANOTHER_COMPUTATION, "computes", "compute") + " something else",
            ),
            (UNEXPLAINED, "cannot be explained by rounding as it was measured on a CPU"),
            (NO_REFERENCE, _verb(counts, NO_REFERENCE, "has", "have") + " no reference run"),
            (NOT_RUN, "did not run"),
        )
        if verdict in counts
    ]
    return text + (f"; {', '.join(parts)}." if parts else ".")


def _verb(counts: pd.Series, verdict: str, one: str, several: str) -> str:
    return one if counts.get(verdict) == 1 else several
