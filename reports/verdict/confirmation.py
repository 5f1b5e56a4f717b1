"""Fresh seeds that confirm or clear a suspicion: whether they can, and how to train them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise

import pandas as pd

from bench.store.store import Contents
from bench.text import one_line
from hnrnn.variants import LARGEST_SEED
from reports.runs.completeness import (
    PROVENANCE,
    Problem,
    failed_runs,
    ranges,
    shown,
    unreadable,
)
from reports.runs.night import Configuration
from reports.runs.selection import Selection, is_whole

LIKE = ["dtype", "initialisation", "injected_fault", *PROVENANCE]
"""Columns in which fresh runs have to be like the night's."""
OPTIONS = {
    "--dtype": "dtype",
    "--initialisation": "initialisation",
    "--device": "device",
    "--inject-fault": "injected_fault",
}
"""The options of `bench run` that decide the kind of its runs, with the columns."""


def find_unlike(
    fresh: Contents, suspects: Collection[Configuration], night: Selection, baseline: Selection
) -> list[Problem]:
    """Return every reason why runs of fresh seeds cannot decide on the ``suspects``.

    They have to be as complete, as whole and as like as the night itself: the same seeds of the
    full recipe in every suspected configuration, none of them a seed of the night or of the
    baseline, trained by the same code in the same environment.
    """
    keys = pd.MultiIndex.from_frame(fresh.runs[["variant", "backend"]])
    runs = fresh.runs[keys.isin(list(suspects))]
    found: list[tuple[str, Configuration | None]] = [
        (str(problem), problem.configuration)
        for problem in [*unreadable(fresh), *failed_runs(runs)]
    ]
    whole = runs[is_whole(runs)]
    seeds_of = whole.groupby(["variant", "backend"])["seed"].agg(set).to_dict()
    seeds = set().union(*seeds_of.values())
    for configuration in sorted(suspects):
        lacking = seeds - seeds_of.get(configuration, set())
        if lacking or configuration not in seeds_of:
            which = f" of seeds {ranges(sorted(lacking))}" if configuration in seeds_of else ""
            why = f"{' '.join(configuration)} has no run of the full recipe{which}"
            found.append((why, configuration))
    known = sorted(seeds & {*night.grid["seed"], *baseline.grid["seed"]})
    if known:
        why = f"seeds {ranges(known)} are not fresh: the night or the baseline has them"
        found.append((why, None))
    started = night.grid["started_at"].min()
    if len(night.grid) and (whole["started_at"] < started).any():
        why = "its runs are older than the night's: delete them, and train fresh seeds"
        found.append((why, None))
    found += [(why, None) for why in _of_another_environment(whole, night.grid)]
    return [Problem("confirmation", why, configuration) for why, configuration in found]


def _of_another_environment(fresh: pd.DataFrame, night: pd.DataFrame) -> list[str]:
    """Name the columns in which fresh runs have values that the night's runs do not have."""
    found = []
    for column in LIKE:
        tonight, there = (set(runs[column].fillna("none").astype(str)) for runs in (night, fresh))
        if tonight and there - tonight:
            new, known = (
                ", ".join(shown(column, value) for value in sorted(each))
                for each in (there - tonight, tonight)
            )
            found.append(f"{column} is {new}, tonight's {known}")
    return found


def fresh_seeds(used: Collection[int], count: int) -> str:
    """Return a range of ``count`` seeds that are not among those ``used``.

    It lies above all of them, or in the first gap that is large enough where no seeds are left.
    """
    taken = sorted(map(int, used))
    start = taken[-1] + 1
    if start + count - 1 > LARGEST_SEED:
        start = next(a + 1 for a, b in pairwise([-1, *taken]) if b - a > count)
    return f"{start}-{start + count - 1}"


def command_words(
    configurations: Collection[Configuration], seeds: str, folder: str, kind: Mapping[str, str]
) -> list[str]:
    """Return the words of the command that trains ``configurations`` with fresh ``seeds``.

    ``kind`` is that of the night, as ``Judgement.kind`` has it: what is trained is like its runs.
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
