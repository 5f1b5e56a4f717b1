"""What is wrong with a night's records: missing, failed, unreadable, or not of one kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from bench.records import FAILED
from bench.store import Contents
from hnrnn.variants import VARIANTS
from reports.selection import KIND, Selection, of_shown_kind

Square = tuple[str, str]
"""A variant and a backend."""

MAY_DIFFER = [*KIND, "plant"]
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
    "data_sha256",
    "source_sha256",
    "commit",
    "dirty",
]
"""Columns in which the runs of a night have to be alike."""


@dataclass(frozen=True)
class Problem:
    """Something that keeps a night from being judged; ``square`` is the square that it is about."""

    kind: str
    detail: str
    square: Square | None = None

    def __str__(self) -> str:
        """Return the problem in a line."""
        return f"{self.kind}: {self.detail}"


def find_problems(contents: Contents, expected: Iterable[Square] = ()) -> list[Problem]:
    """Return everything that is wrong with a store's contents.

    Expected are the notebook's eight squares, those of ``expected``, and every one that has a run,
    each with the seeds that at least half of the squares have. What is missing is looked for among
    the runs of the kind that ``select`` takes: another kind's make up for nothing.
    """
    runs = contents.runs
    problems = [
        Problem("unreadable file", f"{name}: {reason}")
        for name, reason in sorted(contents.unreadable.items())
    ]
    failed = runs[runs["status"] == FAILED].sort_values(["variant", "backend", "seed"])
    problems += [
        Problem(
            "failed run",
            f"{row.variant} {row.backend} seed {row.seed}: {row.error}",
            (str(row.variant), str(row.backend)),
        )
        for row in failed.itertuples()
    ]
    return problems + _missing(of_shown_kind(runs), expected) + _repeated(runs) + _mixed(runs)


def notebook_squares() -> list[Square]:
    """Return the eight squares that the notebook runs."""
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


def _missing(runs: pd.DataFrame, expected: Iterable[Square]) -> list[Problem]:
    seeds_of: dict[Square, set[int]] = {}
    for row in runs[["variant", "backend", "seed"]].to_dict(orient="records"):
        seeds_of.setdefault((row["variant"], row["backend"]), set()).add(row["seed"])
    counts = Counter(seed for seeds in seeds_of.values() for seed in seeds)
    usual = {seed for seed, count in counts.items() if 2 * count >= len(seeds_of)}
    squares = sorted({*seeds_of, *notebook_squares(), *expected})
    problems = []
    for square in squares:
        name = " ".join(square)
        seeds = seeds_of.get(square, set())
        if not seeds:
            problems.append(Problem("missing square", f"{name} has no runs", square))
        elif usual - seeds:
            lacking = ranges(sorted(usual - seeds))
            problems.append(Problem("missing runs", f"{name} lacks seeds {lacking}", square))
    return problems


def _repeated(runs: pd.DataFrame) -> list[Problem]:
    """Name the squares in which runs of several seeds ended with the very same weights."""
    hashed = runs.dropna(subset=["weights_sha256"])
    problems = []
    for square, rows in hashed.groupby(["variant", "backend"]):
        seeds = rows.groupby("weights_sha256")["seed"].unique()
        problems += [
            Problem(
                "repeated run",
                f"{' '.join(map(str, square))}: the same weights from seeds {ranges(sorted(same))}",
                (str(square[0]), str(square[1])),
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
            counts = Counter(str(value)[:24] for value in alike[column])
            if len(counts) > 1:
                values = ", ".join(f"{value} ({count} runs)" for value, count in counts.items())
                problems.append(Problem("mixed provenance", f"{column}: {values}"))
    return problems


def ranges(numbers: Sequence[int]) -> str:
    """Return sorted numbers as ``0-3, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
