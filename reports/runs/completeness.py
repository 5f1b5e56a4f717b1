"""What is wrong with a night's records: missing, failed, short, unreadable or mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from bench.store.records import DIVERGED, ENSEMBLE, FAILED, OK, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.runs.night import CONFIGURATION, Configuration, Night, configurations_of, is_in
from reports.runs.selection import JOINT, KIND, is_joint, is_whole

MAY_DIFFER = [*KIND, "injected_fault"]
"""Columns in which the runs of a store may differ on purpose."""
PROVENANCE = """
    device_name torch_version fastai_version cuda_version cudnn_version driver_version
    python_version threads deterministic_algorithms tf32 instruction_set numeric_fingerprint
    data_sha256 source_sha256
""".split()
"""Columns in which the runs of a night must be alike."""
ANOTHER_KIND, INJECTED, REPEATED = "another kind of run", "injected fault", "repeated run"
MISSING, LEFT_OUT = "missing configuration", "left out"
"""The kinds of problem that a configuration has no runs, or only of another dtype or start."""
SHORT_RUNS = "short runs"
"""The kind of problem that no run completed its recipe, as in a smoke test."""


@dataclass(frozen=True)
class Problem:
    """Something that keeps a night from being judged, with the configuration concerned, if any."""

    kind: str
    detail: str
    configuration: Configuration | None = None

    def __str__(self) -> str:
        """Return the problem in one line."""
        return f"{self.kind}: {self.detail}"


def find_problems(night: Night, expected: Iterable[Configuration] = ()) -> list[Problem]:
    """Return everything that is wrong with a night.

    Only runs of the shown kind count. Expected are the notebook's eight configurations, those in
    ``expected``, and every configuration that has a whole run, which means one of the full recipe
    with a result, or only runs of another kind. An ensemble's whole runs of a variant stand in for
    the notebook's. Each needs the seeds that at least half of the configurations have; ensembles
    are counted separately.
    """
    runs, shown = night.contents.runs, night.selection.of_kind
    problems = unreadable(night.contents)
    problems += [
        Problem(INJECTED, f"{counted(count, 'run')} trained with {fault}")
        for fault, count in shown["injected_fault"].value_counts().items()
    ]
    problems += failed_runs(runs)
    problems += _missing(night, expected)
    return problems + _repeated(runs) + _mixed(runs)


def freezing_problems(night: Night) -> list[Problem]:
    """Return everything that keeps a night from being a baseline."""
    runs = night.contents.runs
    ended = runs[runs["status"].isin([OK, DIVERGED])]
    all_of = (ended["status"] == DIVERGED).groupby([ended["variant"], ended["backend"]]).all()
    return find_problems(night) + [
        Problem(
            "diverged",
            f"every run of {' '.join(configuration)} diverged, so that no night could be worse",
        )
        for configuration in all_of.index[all_of]
    ]


def unreadable(contents: Contents) -> list[Problem]:
    """Return a problem for every unreadable file and for every kind of impossible records."""
    return [
        Problem(
            "unreadable file" if name.endswith(".parquet") else "impossible records",
            f"{name}: {reason}",
        )
        for name, reason in sorted(contents.unreadable.items())
    ]


def failed_runs(runs: pd.DataFrame) -> list[Problem]:
    """Return a problem for every failed run, with its error."""
    failed = runs[runs["status"] == FAILED].sort_values(["variant", "backend", "seed"])
    return [
        Problem(
            "failed run",
            f"{row.variant} {row.backend} seed {row.seed}: {row.error}",
            (str(row.variant), str(row.backend)),
        )
        for row in failed.itertuples()
    ]


def find_notes(night: Night, expected: Iterable[Configuration] = ()) -> list[str]:
    """Return what a reader should know of a night although nothing is wrong with it.

    This is about runs of several commits with the same training code, and about configurations that
    were skipped and are not ``expected``.
    """
    notes, runs = [], night.contents.runs
    for _, alike in runs.groupby([*MAY_DIFFER, is_joint(runs)], dropna=False):
        commits = alike["commit"].fillna("no commit").str[:7].value_counts(sort=False)
        if len(commits) > 1 and len(alike["source_sha256"].unique()) == 1:
            counts = ", ".join(f"{commit} ({counted(n, 'run')})" for commit, n in commits.items())
            notes.append(
                f"{len(commits)} commits with equal training code made the runs: {counts}."
            )
    needed = {*night.configurations, *_notebook_needs(night.configurations), *expected}
    return notes + [
        f"{' '.join(configuration)} was skipped: {reason}."
        for configuration, reason in _skipped(night.selection.of_kind).items()
        if configuration not in needed
    ]


def notebook_configurations() -> list[Configuration]:
    """Return the eight configurations that the notebook runs."""
    return [(variant.name, variant.backend) for variant in VARIANTS.values()]


def _notebook_needs(present: Collection[Configuration]) -> list[Configuration]:
    """Return the notebook's configurations whose variant no ensemble in ``present`` covers.

    If only ensembles are present, the missing variants are expected of the ensemble.
    """
    covered = {variant for variant, backend in present if backend in JOINT}
    missing = [pair for pair in notebook_configurations() if pair[0] not in covered]
    if present and all(backend in JOINT for _, backend in present):
        return [(variant, ENSEMBLE) for variant, _ in missing]
    return missing


def of_another_kind(night: Night, other: Night, name: str) -> list[Problem]:
    """Return a problem if ``other`` has runs of another kind than the night's."""
    tonight, there = night.selection.kind, other.selection.kind
    differing = [key for key in tonight if key in there and tonight[key] != there[key]]
    if not differing:
        return []
    here, elsewhere = (
        ", ".join(f"{key} {kind[key]}" for key in differing) for kind in (tonight, there)
    )
    return [Problem(ANOTHER_KIND, f"the {name} has {elsewhere}, tonight's runs {here}")]


def _missing(night: Night, expected: Iterable[Configuration]) -> list[Problem]:
    """Name the configurations and seeds without a whole run, except for failed runs."""
    runs, whole = night.selection.of_kind, is_whole(night.selection.of_kind)
    short = runs[~whole & ~runs["status"].isin([FAILED, SKIPPED])]
    if len(short) and not whole.any():
        return [Problem(SHORT_RUNS, f"no run went through the full recipe: {_passes(short)}")]
    seeds_of = _seeds_by(CONFIGURATION, runs[whole])
    failed_of = _seeds_by(CONFIGURATION, runs[runs["status"] == FAILED])
    usual = {joint: _usual_seeds(seeds_of, joint=joint) for joint in (False, True)}
    skipped, cut, elsewhere = _skipped(runs), configurations_of(short), _of_other_kinds(night)
    faulty = configurations_of(night.contents.runs.dropna(subset="injected_fault"))
    needed, earlier = {*seeds_of, *_notebook_needs(seeds_of)}, {*expected}
    problems = []
    for configuration in sorted({*needed, *earlier, *elsewhere}):
        name, failed = " ".join(configuration), failed_of.get(configuration, set())
        lacking = usual[configuration[1] in JOINT] - seeds_of.get(configuration, set()) - failed
        if configuration not in seeds_of and not failed:
            only = "only runs with an injected fault" if configuration in faulty else "no runs"
            why = f"{name} has {only}"
            if configuration in skipped:
                why = f"{name} was skipped: {skipped[configuration]}"
            elif configuration in cut:
                own = short[is_in(short, {configuration})]
                why = f"{name} has no run of the full recipe: {_passes(own)}"
            elif configuration in elsewhere:
                why = f"{name} {elsewhere[configuration]}"
            kind = MISSING if configuration in needed | earlier else LEFT_OUT
            problems.append(Problem(kind, why, configuration))
        elif lacking:
            why = f"{name} lacks seeds {ranges(lacking)}"
            problems.append(Problem("missing runs", why, configuration))
    gone = [each for each in problems if each.configuration in earlier - needed]
    if gone:
        advice = f"{gone[-1].detail}; train what ran before or, if nothing else is missing, accept "
        advice += "the night without it: `python -m reports baseline accept`"
        if any(backend in JOINT for _, backend in seeds_of):
            advice += " (an older history has an ensemble's runs under the notebook's backends)"
        problems[problems.index(gone[-1])] = replace(gone[-1], detail=advice)
    return problems


def _of_other_kinds(night: Night) -> dict[Configuration, str]:
    """Say of each configuration of which kind its runs are, if none is of the night's."""
    kind, shown = night.selection.kind, night.selection.of_kind
    runs = night.contents.runs
    runs = runs[runs["injected_fault"].isna() & runs["status"].isin([OK, DIVERGED])]
    runs = runs[~is_in(runs, configurations_of(shown))]
    found = {}
    for (variant, backend, *values), _ in runs.groupby([*CONFIGURATION, *kind]):
        differing = {
            name: value for name, value in zip(kind, values, strict=True) if value != kind[name]
        }
        there, here = (
            ", ".join(f"{name} {of[name]}" for name in differing) for of in (differing, kind)
        )
        found[str(variant), str(backend)] = (
            f"has only runs with {there}, and the others have {here}: train it like them, or keep "
            "its runs in another results folder"
        )
    return found


def _seeds_by(key: list[str], runs: pd.DataFrame) -> dict[Any, set[int]]:
    """Return the seeds of each group of runs, by its values in the columns ``key``."""
    return runs.groupby(key)["seed"].agg(set).to_dict()


def _usual_seeds(seeds_of: Mapping[Configuration, set[int]], *, joint: bool) -> set[int]:
    """Return the seeds that at least half of the ensembles, or of the other configurations have."""
    alike = [seeds for (_, backend), seeds in seeds_of.items() if (backend in JOINT) == joint]
    counts = Counter(seed for seeds in alike for seed in seeds)
    return {seed for seed, count in counts.items() if 2 * count >= len(alike)}


def _skipped(runs: pd.DataFrame) -> dict[Configuration, str]:
    """Return why runs were skipped, by configuration."""
    skipped = runs[runs["status"] == SKIPPED].drop_duplicates(CONFIGURATION)
    return {(str(row.variant), str(row.backend)): str(row.error) for row in skipped.itertuples()}


def _passes(short: pd.DataFrame) -> str:
    """Say how many epochs short runs have."""
    counts = short["epochs"].value_counts().sort_index()
    return ", ".join(
        f"{counted(int(count), 'run')} of {counted(int(str(epochs)), 'epoch')}"
        for epochs, count in counts.items()
    )


def _repeated(runs: pd.DataFrame) -> list[Problem]:
    """Name the configurations in which runs of several seeds ended with the very same weights."""
    key = [*CONFIGURATION, "weights_sha256"]
    same = _seeds_by(key, runs[runs.duplicated(key, keep=False)])
    return [
        Problem(
            REPEATED,
            f"{variant} {backend}: the same weights from seeds {ranges(seeds)}",
            (variant, backend),
        )
        for (variant, backend, _), seeds in same.items()
        if len(seeds) > 1
    ]


def _mixed(runs: pd.DataFrame) -> list[Problem]:
    """Name the columns in which runs of one kind differ, and count the runs of each value.

    Ensembles have a ``source_sha256`` of their own, since other modules train them.
    """
    problems: list[Problem] = []
    of_kind = [alike for _, alike in runs.groupby(MAY_DIFFER, dropna=False)]
    for alike, column in product(of_kind, PROVENANCE):
        by_code = alike.groupby(is_joint(alike)) if column == "source_sha256" else [(None, alike)]
        for _, rows in by_code:
            counts = Counter(str(value) for value in rows[column].fillna("not recorded"))
            if len(counts) > 1:
                values = ", ".join(
                    f"{shown(column, value)} ({counted(count, 'run')})"
                    for value, count in counts.items()
                )
                problems.append(Problem("mixed provenance", f"{column}: {values}"))
    if problems:
        advice = (
            "a folder that is resumed with other software or on another machine trains its runs "
            "again beside the old ones: train the night into a new folder with "
            "`python -m bench run --results DIR`"
        )
        problems[-1] = replace(problems[-1], detail=f"{problems[-1].detail}; {advice}")
    return problems


def shown(column: str, value: str) -> str:
    """Return a value of a provenance column for people: of a hash only the first 12 digits."""
    return value[:12] if column.endswith("_sha256") else value


def ranges(numbers: Iterable[int]) -> str:
    """Return numbers in ascending order as ``0-3, 7``."""
    ordered = np.array(sorted(numbers), dtype=np.int64)
    parts = np.split(ordered, np.flatnonzero(np.diff(ordered) != 1) + 1)
    return ", ".join(
        "-".join(map(str, dict.fromkeys(part[[0, -1]]))) for part in parts if len(part)
    )
