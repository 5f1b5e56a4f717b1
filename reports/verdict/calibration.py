"""Can a verdict be trusted? False alarms on nights without a change, and injected faults found.

Nights are drawn from real seeds that have runs of every variant. Each is judged as ``reports
check`` does, and again with fresh seeds if something is suspected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.store.store import Contents
from hnrnn.variants import VARIANTS
from reports.runs.completeness import PROVENANCE
from reports.runs.night import Night, configurations_of, is_in
from reports.runs.selection import with_runs
from reports.verdict.decision import EXIT_CODES
from reports.verdict.evidence import Evidence
from reports.verdict.findings import read_findings
from reports.verdict.judgement import judge
from reports.verdict.notebook import INCONCLUSIVE

SUSPICION = EXIT_CODES[INCONCLUSIVE]


class Outcome(NamedTuple):
    """The exit codes of ``check`` on a night: the first, and the last after any confirmation."""

    first: int
    last: int


def null_nights(
    pool: Contents, *, baselines: int, nights: int, baseline_seeds: int, night_seeds: int
) -> pd.DataFrame:
    """Judge ``nights`` nights without any change against each of ``baselines`` baselines.

    All are drawn from the pool's whole seeds, with replacement, so that every night has the
    distribution of its baseline. Returns one row per night: ``baseline, night, first, last``, where
    the last two are exit codes of ``check``.
    """
    pool = whole_seeds(pool)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(baselines):
        baseline = _draw(pool, generator, baseline_seeds, 0)
        for night in range(nights):
            drawn = [_draw(pool, generator, night_seeds, 10**6 * (1 + i)) for i in (0, 1)]
            rows.append([number, night, *judge_twice(drawn[0], drawn[1], baseline)])
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

    For every ``injected_fault`` in ``faulty`` and every size in ``night_seeds``, ``nights`` nights
    are drawn, each with a baseline of its own and as many other seeds to confirm. Returns one row
    per night: ``injected_fault, variants, seeds, night, first, last``. Raises ValueError if the
    pool lacks a configuration that has faulty runs.
    """
    pool = whole_seeds(pool)
    unknown = configurations_of(faulty.runs) - configurations_of(pool.runs)
    if unknown:
        raise ValueError(f"no runs without a fault of {' '.join(min(unknown))} to draw nights from")
    generator = np.random.default_rng(1)
    rows = []
    for injected_fault, runs in faulty.runs.groupby("injected_fault"):
        own = replace(faulty, runs=runs)
        variants = " ".join(sorted(runs["variant"].unique()))
        for seeds in night_seeds:
            for night in range(nights):
                first, second = _with_faulty(pool, own, generator, seeds)
                baseline = _draw(pool, generator, baseline_seeds, 0)
                codes = judge_twice(first, second, baseline)
                rows.append([injected_fault, variants, seeds, night, *codes])
    columns = ["injected_fault", "variants", "seeds", "night", "first", "last"]
    return pd.DataFrame(rows, columns=columns)


def whole_seeds(contents: Contents) -> Contents:
    """Return the shown runs of the seeds that every variant has.

    Raises ValueError if there is no such seed.
    """
    runs = Night.of(contents).selection.runs
    counts = runs.groupby("seed")["variant"].nunique()
    runs = runs[runs["seed"].isin(counts[counts == len(VARIANTS)].index)]
    if runs.empty:
        raise ValueError(f"no seed has runs of all {len(VARIANTS)} variants to draw nights from")
    return with_runs(contents, runs)


def judge_twice(night: Contents, confirmation: Contents, baseline: Contents) -> Outcome:
    """Return the exit codes of ``reports check``, the last with ``confirmation`` if it asks."""
    evidence = Evidence.of(night, baseline, findings=tuple(read_findings()))
    first = last = judge(evidence).exit_code
    if first == SUSPICION:
        fresh = Night.of(confirmation, like=evidence.night)
        last = judge(replace(evidence, confirmation=fresh)).exit_code
    return Outcome(first, last)


def _draw(pool: Contents, generator: np.random.Generator, seeds: int, start: int) -> Contents:
    """Return a number of seeds drawn with replacement, renumbered from ``start``."""
    return _renumbered(pool, generator.choice(np.unique(pool.runs["seed"]), seeds), start)


def _with_faulty(
    pool: Contents, faulty: Contents, generator: np.random.Generator, seeds: int
) -> tuple[Contents, Contents]:
    """Return a night and its confirmation: faulty runs without repeats, and others of the pool."""
    own = generator.permutation(np.unique(faulty.runs["seed"]))
    if len(own) < 2 * seeds:
        raise ValueError(f"{2 * seeds} faulty seeds are needed, but only {len(own)} were trained")
    others = replace(pool, runs=pool.runs[~is_in(pool.runs, configurations_of(faulty.runs))])
    template = pool.runs.iloc[0]
    nights = []
    for start, numbers in ((10**6, own[:seeds]), (2 * 10**6, own[seeds : 2 * seeds])):
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
    """Return the runs of the drawn seeds, renumbered from ``start`` and with new ids."""
    numbers = pd.DataFrame({"seed": drawn, "number": np.arange(start, start + len(drawn))})

    def renumber(rows: pd.DataFrame) -> pd.DataFrame:
        rows = rows.merge(numbers, on="seed")
        ids = rows["run_id"] + "-" + rows["number"].astype(str)
        return rows.assign(seed=rows["number"], run_id=ids).drop(columns="number")

    runs = renumber(pool.runs).assign(started_at=pool.runs["started_at"].min())
    if not same_hashes:
        runs["weights_sha256"] += runs["seed"].astype(str)
    everything = replace(pool, epochs=renumber(pool.epochs), throughput=pool.throughput.iloc[:0])
    return with_runs(everything, runs)
