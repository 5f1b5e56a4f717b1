"""Can a verdict be trusted? False alarms on nights without a change, and shifts that are noticed.

Nights and baselines are drawn from real seeds that have runs of every variant, without replacement
and each with a baseline of its own, so that nights are as good as independent. They are judged as
``reports check`` does, and again with fresh seeds if something is suspected.
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
from reports.runs.night import Night
from reports.runs.selection import with_runs
from reports.verdict.baseline import hold_against_baseline
from reports.verdict.decision import EXIT_CODES
from reports.verdict.evidence import Evidence
from reports.verdict.findings import read_findings
from reports.verdict.gates import FAILED, UNEXPLAINED
from reports.verdict.grid_test import MEASURES
from reports.verdict.judgement import judge
from reports.verdict.notebook import INCONCLUSIVE

SUSPICION = EXIT_CODES[INCONCLUSIVE]
FRESH, REPEATED = "fresh", "repeated"
"""Nights of seeds that the baseline lacks, and of seeds that it has."""
SHIFTS = (0.25, 0.5, 1.0)
"""In standard deviations over seeds."""


class Outcome(NamedTuple):
    """The exit codes of ``check`` on a night: the first, and the last after any confirmation."""

    first: int
    last: int
    gate: str = ""
    """The first gate that did not pass what it tested; empty where all did."""


class Pool(NamedTuple):
    """Runs to draw nights from, and other healthy runs of some of their seeds.

    ``again`` has the same backends, whatever it was trained on.
    """

    runs: Contents
    again: Contents


def make_pool(runs: Contents, again: Contents) -> Pool:
    """Return the shown runs of the seeds that every variant has, in each of both folders.

    Raises ValueError if there is no such seed, or none that both have.
    """
    own, others = _whole_seeds(runs), _whole_seeds(again)
    backends = dict(zip(own.runs["variant"], own.runs["backend"], strict=True))
    shared = others.runs["seed"].isin(own.runs["seed"])
    others = with_runs(others, others.runs[shared])
    if others.runs.empty:
        raise ValueError("no seed has runs in both folders")
    runs_, epochs = (
        rows.assign(backend=rows["variant"].map(backends)) for rows in (others.runs, others.epochs)
    )
    return Pool(own, replace(others, runs=runs_, epochs=epochs))


def null_nights(
    pool: Pool, kind: str, *, nights: int, baseline_seeds: int, night_seeds: int
) -> pd.DataFrame:
    """Judge nights without any change, of ``FRESH`` or of ``REPEATED`` seeds.

    All seeds are such as both parts of the pool have, so that a night has reference runs. One that
    repeats the baseline's seeds has the pool's other runs of them, or the baseline has these: they
    differ as healthy executions do. Returns one row per night: ``kind, night``, and an ``Outcome``.
    Raises ValueError for too few seeds.
    """
    generator = np.random.default_rng(0)
    seeds = np.unique(pool.again.runs["seed"])
    needed = baseline_seeds + night_seeds * (1 if kind == REPEATED else 2)
    if len(seeds) < needed:
        raise ValueError(f"nights of {kind} seeds need {needed} seeds that both folders have")
    rows = []
    for night in range(nights):
        sides = (pool.runs, pool.runs)
        if kind == REPEATED:
            sides = (pool.runs, pool.again) if night % 2 else (pool.again, pool.runs)
        baseline, left = np.split(generator.permutation(seeds), [baseline_seeds])
        own = (baseline if kind == REPEATED else left)[:night_seeds]
        fresh = left[~np.isin(left, own)][:night_seeds]
        outcome = judge_twice(
            _of_seeds(sides[0], own), _of_seeds(sides[0], fresh), _of_seeds(sides[1], baseline)
        )
        rows.append([kind, night, *outcome])
    return pd.DataFrame(rows, columns=["kind", "night", *Outcome._fields])


def shifted_nights(
    pool: Pool,
    *,
    nights: int,
    baseline_seeds: int,
    night_seeds: int,
    shifts: Sequence[float] = SHIFTS,
) -> pd.DataFrame:
    """Count nights of fresh seeds in which the test of distributions suspects a shifted variant.

    In each night one variant's accuracy is lower and its loss higher by so many of its standard
    deviations over the pool's seeds. Returns one row per shift: ``shift, seeds, baseline_seeds,
    nights, suspected``.
    """
    grid = Night.of(pool.runs).selection.grid
    deviations = grid.groupby("variant")[list(MEASURES)].std().to_dict()
    seeds, rows = np.unique(grid["seed"]), []
    for shift in shifts:
        generator = np.random.default_rng(1)
        suspected = 0
        for number in range(nights):
            drawn = generator.permutation(seeds)
            night, baseline = (
                grid[grid["seed"].isin(some)]
                for some in np.split(drawn[: night_seeds + baseline_seeds], [night_seeds])
            )
            variant = list(VARIANTS)[number % len(VARIANTS)]
            own = night["variant"] == variant
            for measure, larger_is_better in MEASURES.items():
                moved = shift * deviations[measure][variant] * (-1 if larger_is_better else 1)
                night = night.assign(**{measure: night[measure] + own * moved})
            found = hold_against_baseline(night, baseline).first.suspects
            suspected += any(each.variant == variant and each.worse for each in found)
        rows.append([shift, night_seeds, baseline_seeds, nights, suspected])
    return pd.DataFrame(rows, columns=["shift", "seeds", "baseline_seeds", "nights", "suspected"])


def judge_twice(night: Contents, confirmation: Contents, baseline: Contents) -> Outcome:
    """Return the exit codes of ``reports check``, the last with ``confirmation`` if it asks."""
    evidence = Evidence.of(night, baseline, findings=tuple(read_findings()))
    judgement = judge(evidence)
    first = last = judgement.exit_code
    gates = (gate.name for gate in judgement.gates if gate.state in (FAILED, UNEXPLAINED))
    if first == SUSPICION:
        fresh = Night.of(confirmation, like=evidence.night)
        last = judge(replace(evidence, confirmation=fresh)).exit_code
    return Outcome(first, last, next(gates, ""))


def _whole_seeds(contents: Contents) -> Contents:
    runs = Night.of(contents).selection.runs
    counts = runs.groupby("seed")["variant"].nunique()
    runs = runs[runs["seed"].isin(counts[counts == len(VARIANTS)].index)]
    if runs.empty:
        raise ValueError(f"no seed has runs of all {len(VARIANTS)} variants to draw nights from")
    runs = runs.assign(started_at=contents.runs["started_at"].min())
    return replace(with_runs(contents, runs), throughput=contents.throughput.iloc[:0])


def _of_seeds(contents: Contents, seeds: npt.NDArray[np.int64]) -> Contents:
    return with_runs(contents, contents.runs[contents.runs["seed"].isin(seeds)])
