"""What is wrong with a night's records: missing, failed, short, unreadable, or not of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pandas as pd

from bench.store.records import DIVERGED, ENSEMBLE, FAILED, OK, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.runs.night import Configuration, Night
from reports.runs.selection import JOINT, KIND, is_joint, is_whole

MAY_DIFFER = [*KIND, "injected_fault"]
"""Columns in which the runs of a store may differ on purpose."""
PROVENANCE = [
    "device_name",
    "torch_version",
    "fastai_version",
    "cuda_version",
    "cudnn_version",
    "driver_version",
    "python_version",
    "threads",
    "deterministic_algorithms",
    "tf32",
    "instruction_set",
    "numeric_fingerprint",
    "data_sha256",
    "source_sha256",
]
"""Columns in which the runs of a night have to be alike."""
HASH_CHARACTERS = 12
SHORT_RUNS = "short runs"
"""The kind of the problem that no run went through its full recipe, as those of a smoke test."""


@dataclass(frozen=True)
class Problem:
    """Something that keeps a night from being judged, and the configuration it is about."""

    kind: str
    detail: str
    configuration: Configuration | None = None

    def __str__(self) -> str:
        """Return the problem in a line."""
        return f"{self.kind}: {self.detail}"


def find_problems(night: Night, expected: Iterable[Configuration] = ()) -> list[Problem]:
    """Return everything that is wrong with a night.

    Expected are the notebook's eight configurations, those of ``expected``, and every one that has
    a whole run: one that went through the full recipe to a result. The ensemble's whole runs of a
    variant stand in for the notebook's configuration of it. Each has to have the seeds that at
    least half of the configurations have, where the ensemble's are counted apart. Only runs of the
    kind that is shown count.
    """
    runs, shown = night.contents.runs, night.selection.of_kind
    problems = unreadable(night.contents)
    problems += [
        Problem("injected fault", f"{counted(count, 'run')} trained with {fault}")
        for fault, count in shown["injected_fault"].value_counts().items()
    ]
    problems += failed_runs(runs)
    problems += _missing(shown, expected)
    return problems + _repeated(runs) + _mixed(runs)


def freezing_problems(night: Night) -> list[Problem]:
    """Return everything that keeps a night from being a baseline."""
    return find_problems(night) + [
        Problem("diverged", f"every run of {configuration} diverged, and nothing is worse")
        for configuration in diverged_configurations(night.contents.runs)
    ]


def diverged_configurations(runs: pd.DataFrame) -> list[str]:
    """Return the configurations whose runs have all diverged, leaving out those that failed."""
    ended = runs[runs["status"].isin([OK, DIVERGED])]
    all_of = (ended["status"] == DIVERGED).groupby([ended["variant"], ended["backend"]]).all()
    return [" ".join(map(str, configuration)) for configuration in all_of.index[all_of]]


def unreadable(contents: Contents) -> list[Problem]:
    """Return a problem for every file that cannot be read, and for records that cannot be."""
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

    These are runs of several commits, which are alike as long as the training code is, and
    configurations that were skipped here and are not ``expected``.
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
    for configuration, reason in _skipped(night.selection.of_kind).items():
        if configuration not in needed:
            notes.append(f"{' '.join(configuration)} was skipped: {reason}.")
    return notes


def notebook_configurations() -> list[Configuration]:
    """Return the eight configurations that the notebook runs."""
    return [(variant.name, variant.backend) for variant in VARIANTS.values()]


def _notebook_needs(present: Collection[Configuration]) -> list[Configuration]:
    """Return the configurations without which a variant of the notebook is not covered.

    It is covered by its own backend or by the ensemble. In a night of the ensemble alone, a
    variant that nothing covers is missed on the ensemble.
    """
    covered = {variant for variant, backend in present if backend in JOINT}
    missing = [pair for pair in notebook_configurations() if pair[0] not in covered]
    if present and all(backend in JOINT for _, backend in present):
        return [(variant, ENSEMBLE) for variant, _ in missing]
    return missing


def of_another_kind(night: Night, other: Night, name: str) -> list[Problem]:
    """Return a problem where ``other`` has runs, and they are of another kind than the night's."""
    tonight, there = night.selection.kind, other.selection.kind
    differing = [key for key in tonight if key in there and tonight[key] != there[key]]
    if not differing:
        return []
    here, elsewhere = (
        ", ".join(f"{key} {kind[key]}" for key in differing) for kind in (tonight, there)
    )
    return [Problem("another kind of run", f"the {name} has {elsewhere}, tonight's runs {here}")]


def _missing(runs: pd.DataFrame, expected: Iterable[Configuration]) -> list[Problem]:
    """Name the configurations and seeds that have no whole run; a failed run is named already."""
    whole = is_whole(runs)
    short = runs[~whole & ~runs["status"].isin([FAILED, SKIPPED])]
    if len(short) and not whole.any():
        return [Problem(SHORT_RUNS, f"no run went through the full recipe: {_passes(short)}")]
    seeds_of: dict[Configuration, set[int]] = {}
    for row in runs.loc[whole, ["variant", "backend", "seed"]].to_dict(orient="records"):
        seeds_of.setdefault((row["variant"], row["backend"]), set()).add(row["seed"])
    usual = {joint: _usual_seeds(seeds_of, joint=joint) for joint in (False, True)}
    skipped = _skipped(runs)
    problems = []
    for configuration in sorted({*seeds_of, *_notebook_needs(seeds_of), *expected}):
        name, here = " ".join(configuration), _in_configuration(runs, configuration)
        failed = set(here.loc[here["status"] == FAILED, "seed"])
        needed = usual[configuration[1] in JOINT]
        lacking = needed - seeds_of.get(configuration, set()) - failed
        if configuration not in seeds_of and not failed:
            why = f"{name} has no runs"
            if configuration in skipped:
                why = f"{name} was skipped: {skipped[configuration]}"
            elif len(cut := _in_configuration(short, configuration)):
                why = f"{name} has no run of the full recipe: {_passes(cut)}"
            problems.append(Problem("missing configuration", why, configuration))
        elif lacking:
            seeds = ranges(sorted(lacking))
            problems.append(Problem("missing runs", f"{name} lacks seeds {seeds}", configuration))
    return problems


def _usual_seeds(seeds_of: Mapping[Configuration, set[int]], *, joint: bool) -> set[int]:
    """Return the seeds that at least half of the joint, or of the other configurations have."""
    alike = [seeds for (_, backend), seeds in seeds_of.items() if (backend in JOINT) == joint]
    counts = Counter(seed for seeds in alike for seed in seeds)
    return {seed for seed, count in counts.items() if 2 * count >= len(alike)}


def _in_configuration(runs: pd.DataFrame, configuration: Configuration) -> pd.DataFrame:
    return runs[(runs["variant"] == configuration[0]) & (runs["backend"] == configuration[1])]


def _skipped(runs: pd.DataFrame) -> dict[Configuration, str]:
    """Return why runs were skipped, by configuration."""
    skipped = runs[runs["status"] == SKIPPED].drop_duplicates(["variant", "backend"])
    return {(str(row.variant), str(row.backend)): str(row.error) for row in skipped.itertuples()}


def _passes(short: pd.DataFrame) -> str:
    """Say how far runs that were cut short have come."""
    counts = short["epochs"].value_counts().sort_index()
    return ", ".join(
        f"{counted(int(count), 'run')} of {counted(int(str(epochs)), 'epoch')}"
        for epochs, count in counts.items()
    )


def _repeated(runs: pd.DataFrame) -> list[Problem]:
    """Name the configurations in which runs of several seeds ended with the very same weights."""
    hashed = runs.dropna(subset=["weights_sha256"])
    problems = []
    for configuration, rows in hashed.groupby(["variant", "backend"]):
        seeds = rows.groupby("weights_sha256")["seed"].unique()
        problems += [
            Problem(
                "repeated run",
                f"{' '.join(map(str, configuration))}: the same weights from seeds "
                f"{ranges(sorted(same))}",
                (str(configuration[0]), str(configuration[1])),
            )
            for same in seeds
            if len(same) > 1
        ]
    return problems


def _mixed(runs: pd.DataFrame) -> list[Problem]:
    """Name the columns in which runs of one kind differ, with how many have which value.

    The ensemble's runs and the others are trained by different modules, as their
    ``source_sha256`` says.
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
            "keep runs of other software or of another machine in a results folder of their own"
        )
        problems[-1] = replace(problems[-1], detail=f"{problems[-1].detail}; {advice}")
    return problems


def shown(column: str, value: str) -> str:
    """Return a value of a provenance column for people: of a hash the first digits."""
    return value[:HASH_CHARACTERS] if column.endswith("_sha256") else value


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers as ``0-3, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
