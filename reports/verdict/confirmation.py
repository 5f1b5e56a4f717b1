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
    problems = [Problem("confirmation", str(problem)) for problem in unreadable(fresh)]
    keys = pd.MultiIndex.from_frame(fresh.runs[["variant", "backend"]])
    runs = fresh.runs[keys.isin(list(suspects))]
    problems += [Problem("confirmation", str(p), p.configuration) for p in failed_runs(runs)]
    whole = runs[is_whole(runs)]
    seeds = {int(seed) for seed in whole["seed"]}
    for configuration in sorted(suspects):
        name = " ".join(configuration)
        here = whole[
            (whole["variant"] == configuration[0]) & (whole["backend"] == configuration[1])
        ]
        lacking = seeds - {int(seed) for seed in here["seed"]}
        if here.empty:
            problems.append(
                Problem("confirmation", f"{name} has no run of the full recipe", configuration)
            )
        elif lacking:
            detail = f"{name} has no run of the full recipe of seeds {ranges(sorted(lacking))}"
            problems.append(Problem("confirmation", detail, configuration))
    used = {int(seed) for seed in [*night.grid["seed"], *baseline.grid["seed"]]}
    if seeds & used:
        known = ranges(sorted(seeds & used))
        problems.append(
            Problem(
                "confirmation", f"seeds {known} are not fresh: the night or the baseline has them"
            )
        )
    if (
        len(whole)
        and len(night.grid)
        and whole["started_at"].min() < night.grid["started_at"].min()
    ):
        detail = "its runs are older than the night's: delete them, and train fresh seeds"
        problems.append(Problem("confirmation", detail))
    return problems + _of_another_environment(whole, night.grid)


def _of_another_environment(fresh: pd.DataFrame, night: pd.DataFrame) -> list[Problem]:
    """Name the columns in which fresh runs have values that the night's runs do not have."""
    problems = []
    for column in LIKE:
        tonight, there = (set(runs[column].fillna("none").astype(str)) for runs in (night, fresh))
        if tonight and there - tonight:
            values = (
                ", ".join(shown(column, value) for value in sorted(each))
                for each in (there - tonight, tonight)
            )
            detail = "{} is {}, tonight's {}".format(column, *values)
            problems.append(Problem("confirmation", detail))
    return problems


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
