"""Is a verdict to be trusted? False alarms on nights without a change, and injected faults found.

Nights are made of whole real seeds, and each is judged as ``reports check`` does, and, where
something is suspected, judged again with fresh seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.store.store import Contents
from hnrnn.variants import VARIANTS
from reports.runs.completeness import PROVENANCE
from reports.runs.night import Night, configurations_of
from reports.verdict.decision import EXIT_CODES
from reports.verdict.evidence import Evidence
from reports.verdict.findings import read_findings
from reports.verdict.judgement import judge
from reports.verdict.notebook import INCONCLUSIVE

SUSPICION = EXIT_CODES[INCONCLUSIVE]


@dataclass(frozen=True)
class Outcome:
    """What ``check`` said of a night: first, and in the end, after a confirmation if it asked."""

    first: int
    last: int


def null_nights(
    pool: Contents, *, baselines: int, nights: int, baseline_seeds: int, night_seeds: int
) -> pd.DataFrame:
    """Judge ``nights`` nights without any change against each of ``baselines`` baselines.

    All are drawn from the pool's whole seeds, with replacement: the law of every night is that of
    its baseline. Returns one row per night: ``baseline, night, first, last``, the exit codes of
    ``check``.
    """
    pool = whole_seeds(pool)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(baselines):
        baseline = _draw(pool, generator, baseline_seeds, 0)
        for night in range(nights):
            drawn = [_draw(pool, generator, night_seeds, 10**6 * (1 + i)) for i in (0, 1)]
            outcome = judge_twice(drawn[0], drawn[1], baseline)
            rows.append([number, night, outcome.first, outcome.last])
    return pd.DataFrame(rows, columns=["baseline", "night", "first", "last"])


def detect_faults(
    pool: Contents,
    faulty: Contents,
    *,
    baseline_seeds: int,
    night_seeds: Sequence[int],
    nights: int,
) -> pd.DataFrame:
    """Judge nights in which some variants were trained with a fault, the others without.

    ``faulty`` holds runs by their ``injected_fault``; of each, ``nights`` nights of every size in
    ``night_seeds`` are drawn, and as many other seeds to confirm. The baseline is drawn anew for
    each. Returns one row per night: ``injected_fault, variants, seeds, night, first, last``.
    Raises ValueError where the pool lacks a configuration that has faulty runs.
    """
    pool = whole_seeds(pool)
    unknown = configurations_of(faulty.runs) - configurations_of(pool.runs)
    if unknown:
        raise ValueError(f"no runs without a fault of {' '.join(min(unknown))} to draw nights from")
    generator = np.random.default_rng(1)
    rows = []
    for injected_fault, runs in faulty.runs.groupby("injected_fault"):
        own = replace(
            faulty, runs=runs, epochs=faulty.epochs[faulty.epochs["run_id"].isin(runs["run_id"])]
        )
        variants = sorted(runs["variant"].unique())
        for seeds in night_seeds:
            for night in range(nights):
                first, second = _with_faulty(pool, own, generator, seeds)
                baseline = _draw(pool, generator, baseline_seeds, 0)
                outcome = judge_twice(first, second, baseline)
                rows.append(
                    [injected_fault, " ".join(variants), seeds, night, outcome.first, outcome.last]
                )
    columns = ["injected_fault", "variants", "seeds", "night", "first", "last"]
    return pd.DataFrame(rows, columns=columns)


def whole_seeds(contents: Contents) -> Contents:
    """Return the shown runs of the seeds that every variant has.

    Raises ValueError where there is no such seed.
    """
    runs = Night.of(contents).selection.runs
    counts = runs.groupby("seed")["variant"].nunique()
    runs = runs[runs["seed"].isin(counts[counts == len(VARIANTS)].index)]
    if runs.empty:
        raise ValueError(f"no seed has runs of all {len(VARIANTS)} variants to draw nights from")
    epochs = contents.epochs[contents.epochs["run_id"].isin(runs["run_id"])]
    return replace(contents, runs=runs.reset_index(drop=True), epochs=epochs)


def judge_twice(night: Contents, confirmation: Contents, baseline: Contents) -> Outcome:
    """Return the exit codes of a night: as it is, and with fresh seeds if something is suspected.

    They are those of ``reports check`` on the same contents.
    """
    evidence = Evidence.of(night, baseline, findings=tuple(read_findings()))
    first = last = judge(evidence).exit_code
    if first == SUSPICION:
        fresh = Night.of(confirmation, like=evidence.night)
        last = judge(replace(evidence, confirmation=fresh)).exit_code
    return Outcome(first, last)


def _draw(pool: Contents, generator: np.random.Generator, seeds: int, start: int) -> Contents:
    """Return so many whole seeds of a pool, with replacement, under new numbers from ``start``."""
    drawn = generator.choice(np.unique(pool.runs["seed"]), seeds)
    return _renumbered(pool, drawn, start)


def _with_faulty(
    pool: Contents, faulty: Contents, generator: np.random.Generator, seeds: int
) -> tuple[Contents, Contents]:
    """Return a night and a confirmation: faulty runs, no seed twice, and the pool's others."""
    own = generator.permutation(np.unique(faulty.runs["seed"]))
    if len(own) < 2 * seeds:
        raise ValueError(f"{2 * seeds} injected seeds are needed, and there are {len(own)}")
    configurations = configurations_of(faulty.runs)
    keys = pd.MultiIndex.from_frame(pool.runs[["variant", "backend"]])
    others = replace(pool, runs=pool.runs[~keys.isin(list(configurations))])
    template = pool.runs.iloc[0]
    nights = []
    for part in (0, 1):
        start = 10**6 * (1 + part)
        numbers = own[part * seeds : (part + 1) * seeds]
        mixed_in = _renumbered(faulty, numbers, start, same_hashes=True)
        runs = mixed_in.runs.assign(
            injected_fault=None, **{name: template[name] for name in PROVENANCE}
        )
        healthy = _draw(others, generator, seeds, start)
        runs = pd.concat([runs.astype(healthy.runs.dtypes), healthy.runs], ignore_index=True)
        epochs = pd.concat([mixed_in.epochs, healthy.epochs], ignore_index=True)
        nights.append(replace(pool, runs=runs, epochs=epochs))
    return nights[0], nights[1]


def _renumbered(
    pool: Contents, drawn: npt.NDArray[np.int64], start: int, *, same_hashes: bool = False
) -> Contents:
    """Return the runs of the drawn seeds as runs of seeds from ``start``, under new ids."""
    numbers = pd.DataFrame({"seed": drawn, "number": np.arange(start, start + len(drawn))})
    runs = pool.runs.merge(numbers, on="seed").assign(started_at=pool.runs["started_at"].min())
    runs["seed"] = runs["number"]
    renamed = runs[["run_id", "number"]]
    runs["run_id"] = runs["run_id"] + "-" + runs["number"].astype(str)
    if not same_hashes:
        runs["weights_sha256"] = runs["weights_sha256"] + runs["number"].astype(str)
    epochs = pool.epochs.merge(renamed, on="run_id")
    epochs["seed"] = epochs["number"]
    epochs["run_id"] = epochs["run_id"] + "-" + epochs["number"].astype(str)
    return replace(
        pool,
        runs=runs.drop(columns="number"),
        epochs=epochs.drop(columns="number"),
        throughput=pool.throughput.iloc[:0],
    )
