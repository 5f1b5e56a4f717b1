"""Is a verdict to be trusted? False alarms on nights without a change, and planted faults found.

Nights are made of whole real seeds, and each goes through ``reports check`` itself: written as a
store, judged, and, where something is suspected, judged again with fresh seeds.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.store import Contents, Store
from hnrnn.variants import VARIANTS
from reports.certificate import INCONCLUSIVE
from reports.completeness import PROVENANCE
from reports.judgement import EXIT_CODES
from reports.ranks import clopper_pearson
from reports.selection import select

FOLDER = Path(__file__).parent / "published" / "proof"
NULLS, FAULTS = FOLDER / "null_nights.csv", FOLDER / "faults.csv"
SUSPICION = EXIT_CODES[INCONCLUSIVE]


@dataclass(frozen=True)
class Outcome:
    """What ``check`` said of a night: first, and in the end, after a confirmation if it asked."""

    first: int
    last: int


@dataclass(frozen=True)
class Rate:
    """How often something happened, with its 95% Clopper-Pearson interval."""

    count: int
    trials: int

    @property
    def share(self) -> float:
        """The rate."""
        return self.count / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The bounds of the rate."""
        return clopper_pearson(self.count, self.trials)

    def __str__(self) -> str:
        """Return count, rate and interval."""
        low, high = self.interval
        return f"{self.count} of {self.trials} ({self.share:.1%}; {low:.1%} to {high:.1%})"


def null_nights(
    pool: Contents, *, baselines: int, nights: int, baseline_seeds: int, night_seeds: int
) -> pd.DataFrame:
    """Judge ``nights`` nights without any change against each of ``baselines`` baselines.

    All are drawn from the pool's whole seeds, with replacement: the law of every night is that of
    its baseline. Returns a row a night: ``baseline, night, first, last``, the exit codes of
    ``check``.
    """
    pool = whole_seeds(pool)
    generator = np.random.default_rng(0)
    rows = []
    for number in range(baselines):
        with _drawn(pool, generator, baseline_seeds) as baseline:
            for night in range(nights):
                drawn = [_draw(pool, generator, night_seeds, 10**6 * (1 + i)) for i in (0, 1)]
                outcome = judge_through_check(drawn[0], drawn[1], baseline)
                rows.append([number, night, outcome.first, outcome.last])
    return pd.DataFrame(rows, columns=["baseline", "night", "first", "last"])


def detect_faults(
    pool: Contents,
    planted: Contents,
    *,
    baseline_seeds: int,
    night_seeds: Sequence[int],
    nights: int,
) -> pd.DataFrame:
    """Judge nights in which some variants were trained with a fault, the others without.

    ``planted`` holds runs by their ``plant``; of each, ``nights`` nights of every size in
    ``night_seeds`` are drawn, and as many other seeds to confirm. The baseline is drawn anew for
    each. Returns a row a night: ``plant, variants, seeds, night, first, last``.
    """
    pool = whole_seeds(pool)
    generator = np.random.default_rng(1)
    rows = []
    for plant, runs in planted.runs.groupby("plant"):
        own = replace(
            planted, runs=runs, epochs=planted.epochs[planted.epochs["run_id"].isin(runs["run_id"])]
        )
        variants = sorted(runs["variant"].unique())
        for seeds in night_seeds:
            for night in range(nights):
                first, second = _with_planted(pool, own, generator, seeds)
                with _drawn(pool, generator, baseline_seeds) as baseline:
                    outcome = judge_through_check(first, second, baseline)
                rows.append([plant, " ".join(variants), seeds, night, outcome.first, outcome.last])
    columns = ["plant", "variants", "seeds", "night", "first", "last"]
    return pd.DataFrame(rows, columns=columns)


def whole_seeds(contents: Contents) -> Contents:
    """Return the runs on the notebook's backends of the seeds that every variant has.

    Raises ValueError where there is no such seed.
    """
    runs = select(contents).runs
    counts = runs.groupby("seed")["variant"].nunique()
    runs = runs[runs["seed"].isin(counts[counts == len(VARIANTS)].index)]
    if runs.empty:
        raise ValueError(f"no seed has runs of all {len(VARIANTS)} variants to draw nights from")
    epochs = contents.epochs[contents.epochs["run_id"].isin(runs["run_id"])]
    return replace(contents, runs=runs.reset_index(drop=True), epochs=epochs)


def judge_through_check(night: Contents, confirmation: Contents, baseline: Path) -> Outcome:
    """Return the exit codes of ``reports check`` on a night, before and after confirmation."""
    from reports.__main__ import main

    with tempfile.TemporaryDirectory() as folder:
        results, fresh = Path(folder, "results"), Path(folder, "fresh")
        Store(results).write_contents(night)
        command = ["check", "--results", str(results), "--baseline", str(baseline)]
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            first = last = main(command)
            if first == SUSPICION:
                Store(fresh).write_contents(confirmation)
                last = main([*command, "--confirmation", str(fresh)])
    return Outcome(first, last)


class _drawn:  # noqa: N801  # it is used as a function
    """A context in which a store of seeds drawn from a pool is a folder."""

    def __init__(self, pool: Contents, generator: np.random.Generator, seeds: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.contents = _draw(pool, generator, seeds, 0)

    def __enter__(self) -> Path:
        path = Path(self.folder.name, "baseline")
        Store(path).write_contents(self.contents)
        return path

    def __exit__(self, *_: object) -> None:
        self.folder.cleanup()


def _draw(pool: Contents, generator: np.random.Generator, seeds: int, start: int) -> Contents:
    """Return so many whole seeds of a pool, with replacement, under new numbers from ``start``."""
    drawn = generator.choice(np.unique(pool.runs["seed"]), seeds)
    return _renumbered(pool, drawn, start)


def _with_planted(
    pool: Contents, planted: Contents, generator: np.random.Generator, seeds: int
) -> tuple[Contents, Contents]:
    """Return a night and a confirmation: planted runs, no seed twice, and the pool's others."""
    own = generator.permutation(np.unique(planted.runs["seed"]))
    if len(own) < 2 * seeds:
        raise ValueError(f"{2 * seeds} planted seeds are needed, and there are {len(own)}")
    squares = set(zip(planted.runs["variant"], planted.runs["backend"], strict=True))
    keys = pd.MultiIndex.from_frame(pool.runs[["variant", "backend"]])
    others = replace(pool, runs=pool.runs[~keys.isin(list(squares))])
    template = pool.runs.iloc[0]
    nights = []
    for part in (0, 1):
        start = 10**6 * (1 + part)
        numbers = own[part * seeds : (part + 1) * seeds]
        faulty = _renumbered(planted, numbers, start, same_hashes=True)
        runs = faulty.runs.assign(plant=None, **{name: template[name] for name in PROVENANCE})
        healthy = _draw(others, generator, seeds, start)
        runs = pd.concat([runs.astype(healthy.runs.dtypes), healthy.runs], ignore_index=True)
        epochs = pd.concat([faulty.epochs, healthy.epochs], ignore_index=True)
        nights.append(replace(pool, runs=runs, epochs=epochs))
    return nights[0], nights[1]


def _renumbered(
    pool: Contents, drawn: npt.NDArray[np.int64], start: int, *, same_hashes: bool = False
) -> Contents:
    """Return the runs of the drawn seeds as runs of seeds from ``start``, under new ids."""
    numbers = pd.DataFrame({"seed": drawn, "number": np.arange(start, start + len(drawn))})
    runs = pool.runs.merge(numbers, on="seed")
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


def false_alarms(nights: pd.DataFrame) -> tuple[Rate, Rate]:
    """Return how often a night without a change was suspected, and how often it failed."""
    first, last = nights["first"].to_numpy(), nights["last"].to_numpy()
    suspected = int((first != 0).sum())
    return Rate(suspected, len(nights)), Rate(int((last == 1).sum()), len(nights))


def rates_by_fault(nights: pd.DataFrame) -> Iterator[tuple[str, str, int, Rate, Rate]]:
    """Yield of each fault and number of seeds how often it was noticed, and how often it failed.

    Noticed is every exit code but 0; a night failed with 1, or with 3, data that cannot be right.
    """
    for (plant, variants, seeds), rows in nights.groupby(["plant", "variants", "seeds"]):
        noticed = Rate(int((rows["first"] != 0).sum()), len(rows))
        failed = Rate(int(rows["last"].isin([1, 3]).sum()), len(rows))
        yield str(plant), str(variants), int(str(seeds)), noticed, failed
