"""What is wrong with a night's records: missing, failed, short, unreadable, or not of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.store.records import DIVERGED, FAILED, OK, SKIPPED
from bench.store.store import Contents
from bench.text import counted
from hnrnn.variants import VARIANTS
from reports.runs.selection import KIND, Selection, is_whole, of_shown_kind

Configuration = tuple[str, str]
"""A variant and a backend."""

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


def find_problems(contents: Contents, expected: Iterable[Configuration] = ()) -> list[Problem]:
    """Return everything that is wrong with a store's contents.

    Expected are the notebook's eight configurations, those of ``expected``, and every one that has
    a whole run, each with the seeds that at least half of the configurations have. A run is whole
    when it went through the full recipe to a result. What is missing is looked for among the runs
    of the kind that ``select`` takes: another kind's make up for nothing.
    """
    problems = unreadable(contents)
    problems += [
        Problem("injected fault", f"{counted(count, 'run')} trained with {fault}")
        for fault, count in _shown_faults(contents.runs).items()
    ]
    problems += failed_runs(contents.runs)
    problems += _missing(of_shown_kind(contents.runs), expected)
    return problems + _repeated(contents.runs) + _mixed(contents.runs)


def freezing_problems(contents: Contents) -> list[Problem]:
    """Return everything that keeps a store's contents from being a baseline."""
    return find_problems(contents) + [
        Problem(
            "diverged", f"every run of {configuration} diverged: nothing would be worse than that"
        )
        for configuration in diverged_configurations(contents.runs)
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


def find_notes(contents: Contents, expected: Iterable[Configuration] = ()) -> list[str]:
    """Return what a reader should know of a night although nothing is wrong with it.

    That is: runs of several commits, which are alike as long as the training code is; and
    configurations that were skipped here, and that are not ``expected``.
    """
    notes = []
    for _, alike in contents.runs.groupby(MAY_DIFFER, dropna=False):
        commits = alike["commit"].fillna("no commit").str[:7].value_counts(sort=False)
        if len(commits) > 1 and len(alike["source_sha256"].unique()) == 1:
            counts = ", ".join(f"{commit} ({counted(n, 'run')})" for commit, n in commits.items())
            notes.append(
                f"The runs are of {len(commits)} commits with equal training code: {counts}."
            )
    runs = of_shown_kind(contents.runs)
    present = configurations_of(runs[is_whole(runs)])
    for configuration, reason in _skipped(runs).items():
        if configuration not in {*present, *notebook_configurations(), *expected}:
            notes.append(f"{' '.join(configuration)} was skipped: {reason}.")
    return notes


def notebook_configurations() -> list[Configuration]:
    """Return the eight configurations that the notebook runs."""
    return [(variant.name, variant.backend) for variant in VARIANTS.values()]


def of_another_kind(night: Selection, other: Selection, name: str) -> list[Problem]:
    """Return a problem where ``other`` has runs, and they are of another kind than the night's."""
    tonight, there = night.kind, other.kind
    differing = [key for key in tonight if key in there and tonight[key] != there[key]]
    if not differing:
        return []
    here, elsewhere = (
        ", ".join(f"{key} {kind[key]}" for key in differing) for kind in (tonight, there)
    )
    return [Problem("another kind of run", f"the {name} has {elsewhere}, tonight's runs {here}")]


def _shown_faults(runs: pd.DataFrame) -> dict[str, int]:
    """Return the faults in the runs that are judged, which are shown where every run has one."""
    counts = of_shown_kind(runs)["injected_fault"].value_counts()
    return {str(fault): int(count) for fault, count in counts.items()}


def configurations_of(runs: pd.DataFrame) -> set[Configuration]:
    """Return the configurations that have a run."""
    return {(str(v), str(b)) for v, b in zip(runs["variant"], runs["backend"], strict=True)}


def _missing(runs: pd.DataFrame, expected: Iterable[Configuration]) -> list[Problem]:
    """Name the configurations and seeds that have no whole run; a failed run is named already."""
    whole = is_whole(runs)
    short = runs[~whole & ~runs["status"].isin([FAILED, SKIPPED])]
    if len(short) and not whole.any():
        return [Problem(SHORT_RUNS, f"no run went through the full recipe: {_passes(short)}")]
    seeds_of: dict[Configuration, set[int]] = {}
    for row in runs.loc[whole, ["variant", "backend", "seed"]].to_dict(orient="records"):
        seeds_of.setdefault((row["variant"], row["backend"]), set()).add(row["seed"])
    counts = Counter(seed for seeds in seeds_of.values() for seed in seeds)
    usual = {seed for seed, count in counts.items() if 2 * count >= len(seeds_of)}
    skipped = _skipped(runs)
    problems = []
    for configuration in sorted({*seeds_of, *notebook_configurations(), *expected}):
        name, here = " ".join(configuration), _in_configuration(runs, configuration)
        failed = set(here.loc[here["status"] == FAILED, "seed"])
        lacking = usual - seeds_of.get(configuration, set()) - failed
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
    """Name the columns in which runs of one kind differ, with how many have which value."""
    problems: list[Problem] = []
    for _, alike in runs.groupby(MAY_DIFFER, dropna=False):
        for column in PROVENANCE:
            counts = Counter(str(value) for value in alike[column].fillna("not recorded"))
            if len(counts) > 1:
                values = ", ".join(
                    f"{shown(column, value)} ({count} runs)" for value, count in counts.items()
                )
                problems.append(Problem("mixed provenance", f"{column}: {values}"))
    if problems:
        advice = (
            "keep what was trained by other software or elsewhere in a results folder of its own"
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
