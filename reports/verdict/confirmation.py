"""Fresh seeds that confirm or clear a suspicion: whether they can, and how to train them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise

import pandas as pd

from bench.store.store import RUNS, Contents
from bench.text import one_line
from hnrnn.variants import LARGEST_SEED
from reports.runs.completeness import PROVENANCE, Problem, failed_runs, ranges, shown, unreadable
from reports.runs.departures import FOLDER, SEED, SETS, published_set
from reports.runs.night import CONFIGURATION, Configuration, Night, is_in
from reports.runs.selection import Selection, is_whole, with_runs
from reports.verdict.grid_test import MEASURES
from reports.verdict.same_computation import compare

LIKE = ["dtype", "initialisation", "injected_fault", *PROVENANCE]
"""Columns in which fresh runs must be like the night's."""
OPTIONS = {
    "--dtype": "dtype",
    "--initialisation": "initialisation",
    "--device": "device",
    "--inject-fault": "injected_fault",
}
"""The options of `bench run` that decide the kind of its runs, with their columns."""


def find_unlike(
    fresh: Contents, suspects: Collection[Configuration], night: Selection, baseline: Selection
) -> list[Problem]:
    """Return every reason why runs of fresh seeds cannot decide on the ``suspects``.

    Every suspected configuration needs whole runs of the same seeds, trained by the same code in
    the same environment as the night's. No seed may be the night's or the baseline's.
    """
    runs = fresh.runs[is_in(fresh.runs, suspects)]
    found: list[tuple[str, Configuration | None]] = [
        (str(problem), problem.configuration)
        for problem in [*unreadable(fresh), *failed_runs(runs)]
    ]
    whole = runs[is_whole(runs)]
    seeds_of = whole.groupby(CONFIGURATION)["seed"].agg(set).to_dict()
    seeds = set().union(*seeds_of.values())
    for configuration in sorted(suspects):
        lacking = seeds - seeds_of.get(configuration, set())
        if lacking or configuration not in seeds_of:
            which = f" of seeds {ranges(lacking)}" if configuration in seeds_of else ""
            why = f"{' '.join(configuration)} has no run of the full recipe{which}"
            found.append((why, configuration))
    if known := seeds & {*night.grid["seed"], *baseline.grid["seed"]}:
        why = f"seeds {ranges(known)} are not fresh: the night or the baseline has them"
        found.append((why, None))
    started = night.grid["started_at"].min()
    if len(night.grid) and (whole["started_at"] < started).any():
        why = "its runs are older than the night's: delete them and train fresh seeds"
        found.append((why, None))
    started_from = "initial_weights_sha256"
    if whole[started_from].isna().any() and night.grid[started_from].notna().any():
        found.append(("its runs have no recorded initial weights, unlike tonight's", None))
    found += [(why, None) for why in _of_another_environment(whole, night.grid)]
    return [Problem("confirmation", why, configuration) for why, configuration in found]


def _of_another_environment(fresh: pd.DataFrame, night: pd.DataFrame) -> list[str]:
    """Name the columns in which fresh runs have values that no run of the night has."""
    found = []
    for column in LIKE:
        tonight, there = (set(runs[column].fillna("none").astype(str)) for runs in (night, fresh))
        new = there - tonight
        if tonight and new:
            values = (", ".join(shown(column, v) for v in sorted(each)) for each in (new, tonight))
            found.append("{} is {}, tonight's {}".format(column, *values))
    return found


def published_pairs(baseline: Night, suspects: Collection[Configuration]) -> pd.DataFrame:
    """Return our published runs of all ``suspects``, where the baseline computes what they do.

    They stand in for runs of the baseline's code with seeds that the baseline lacks. The baseline's
    runs of the suspects must be the same to rounding as the reference runs of their seeds. One row
    per run: ``variant, backend, seed, initial_weights_sha256`` and the measures after the last
    epoch. Seeds that one of the suspects lacks are left out; an installed wheel has none.
    """
    runs = baseline.contents.runs
    own = replace(baseline, contents=with_runs(baseline.contents, runs[is_in(runs, suspects)]))
    parts = []
    for name in SETS if compare(own).passed else ():
        if (FOLDER / name / RUNS).is_dir():
            published, epochs = published_set(FOLDER / name)
            last = epochs.sort_values("epoch").drop_duplicates("run_id", keep="last")
            parts.append(published.merge(last[["run_id", *MEASURES]], on="run_id"))
    columns = [*CONFIGURATION, "seed", "initial_weights_sha256", *MEASURES]
    if not parts:
        return pd.DataFrame(columns=columns)
    found = pd.concat(parts, ignore_index=True).drop_duplicates(SEED)
    start = baseline.selection.kind["initialisation"]
    found = found[found["initialisation"] == start].drop(columns="backend")
    found = found.merge(pd.DataFrame(sorted(suspects), columns=CONFIGURATION), on="variant")
    return found[found.groupby("seed")["run_id"].transform("size") == len(suspects)][columns]


def fresh_seeds(used: Collection[int], count: int, published: Collection[int] = ()) -> str:
    """Return ``count`` seeds that are not ``used``: of ``published`` ones if half as many are left.

    Others are a range above those used, or else in the first large gap.
    """
    left = sorted({*map(int, published)}.difference(map(int, used)))[:count]
    if 2 * len(left) >= count:
        return ranges(left).replace(", ", ",")
    taken = sorted(map(int, used))
    start = taken[-1] + 1
    if start + count - 1 > LARGEST_SEED:
        start = next(a + 1 for a, b in pairwise([-1, *taken]) if b - a > count)
    return f"{start}-{start + count - 1}"


def command_words(
    configurations: Collection[Configuration], seeds: str, folder: str, kind: Mapping[str, str]
) -> list[str]:
    """Return the words of the command that trains ``configurations`` with fresh ``seeds``.

    ``kind`` is the ``Judgement.kind`` of the night, which the fresh runs share.
    """
    variants, backends = (
        one_line(",".join(dict.fromkeys(names))) for names in zip(*configurations, strict=True)
    )
    options = [
        word
        for option, column in OPTIONS.items()
        if column in kind
        for word in (option, one_line(kind[column]))
    ]
    return [
        *("python", "-m", "bench", "run", "--variants", variants),
        *("--backends", backends, "--seeds", seeds, *options, "--results", folder),
    ]
