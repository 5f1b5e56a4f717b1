"""Is a night worse than a frozen baseline: really, and not by seed variance?

First determinism: a run that both have, by its id, must have ended with the very same weights.
Then the distributions: one max-T permutation test over all configurations of the grid and both
measures, final accuracy and final validation loss, at a level that is corrected for the baseline's
own seed variance. What it suspects is confirmed, or not, on fresh seeds: a regression is what both
stages reject.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.store.records import ENSEMBLE
from reports.runs.completeness import PROVENANCE, Configuration, shown
from reports.statistics.permutation import LEAST, MaxT, max_t_test, oriented
from reports.statistics.power import smallest_visible_drop
from reports.statistics.tolerance import corrected_level

LEVEL = 0.05
"""Of each stage, for the whole grid: both together err about once in 400 nights."""
PERMUTATIONS = 9999
MEASURES = {"accuracy": True, "valid_loss": False}
"""The measures that are tested, and whether larger is better."""

Column = tuple[str, str, str]
"""A variant, a backend and a measure."""

EQUAL, SUSPECTED, REGRESSED, INCONCLUSIVE = "equal", "suspected", "regressed", "inconclusive"


@dataclass(frozen=True)
class Difference:
    """One configuration and measure, tonight beside the baseline; p-values are adjusted for all."""

    variant: str
    backend: str
    measure: str
    seeds: int
    baseline_seeds: int
    mean: float
    baseline_mean: float
    worse_p: float
    better_p: float
    visible: float
    """The change for the worse that would have been suspected with probability 0.9; NaN where it is
    not known: of pairs, or of less than two finite values."""

    @property
    def configuration(self) -> Configuration:
        """The configuration of the grid."""
        return (self.variant, self.backend)


@dataclass(frozen=True)
class Stage:
    """One test of the grid: at ``level`` for the night, at ``corrected`` for each baseline."""

    differences: tuple[Difference, ...]
    level: float
    corrected: float
    paired: bool
    """Whether the same seeds are compared, pair by pair."""
    enough: bool
    """Whether there are seeds enough for the test to reject at all."""

    @property
    def worse(self) -> tuple[Difference, ...]:
        """What is rejected as worse."""
        return tuple(d for d in self.differences if d.worse_p <= self.corrected)

    @property
    def better(self) -> tuple[Difference, ...]:
        """What is rejected as better."""
        return tuple(d for d in self.differences if d.better_p <= self.corrected)


@dataclass(frozen=True)
class Comparison:
    """A night held against a baseline."""

    same_runs: int
    """Runs that both have."""
    held_runs: int
    """Those of them whose weights could be held against each other."""
    changed: Mapping[Configuration, tuple[int, ...]]
    """The seeds of those of them that did not end with the same weights, by configuration."""
    first: Stage
    confirmation: Stage | None
    verdict: str


def hold_against_baseline(
    night: pd.DataFrame,
    baseline: pd.DataFrame,
    confirmation: pd.DataFrame | None = None,
    level: float = LEVEL,
) -> Comparison:
    """Hold a night against a baseline, and what is suspected against fresh seeds where there are.

    Each has a row a run with ``run_id, variant, backend, seed, engine, device, weights_sha256,
    accuracy, valid_loss``, the last two after the last epoch. Only configurations that both have
    are tested.
    """
    same_runs = int(night["run_id"].isin(baseline["run_id"]).sum())
    held_runs, changed = changed_runs(night, baseline)
    first = _stage(night, baseline, level)
    verdict = _verdict(changed, first, None)
    comparison = Comparison(same_runs, held_runs, changed, first, None, verdict)
    return comparison if confirmation is None else confirm(comparison, confirmation, baseline)


def confirm(comparison: Comparison, fresh: pd.DataFrame, baseline: pd.DataFrame) -> Comparison:
    """Hold fresh seeds of what a comparison suspects against the same baseline.

    ``fresh`` is as the frames of ``hold_against_baseline``. A comparison that suspects nothing is
    returned as it is.
    """
    first = comparison.first
    if not first.worse:
        return comparison
    configurations = {difference.configuration for difference in first.worse}
    second = _stage(_of(fresh, configurations), baseline, first.level)
    verdict = _verdict(comparison.changed, first, second)
    return replace(comparison, confirmation=second, verdict=verdict)


def changed_runs(
    night: pd.DataFrame, baseline: pd.DataFrame
) -> tuple[int, dict[Configuration, tuple[int, ...]]]:
    """Return how many runs both have weights of, and the seeds of other weights by configuration.

    Those of an ensemble on a GPU are left out: a GPU may choose by the number of seeds how it
    multiplies them, so that their last bits depend on what was trained together.
    """
    both = night.merge(baseline[["run_id", "weights_sha256"]], on="run_id", suffixes=("", "_then"))
    hashed = both.dropna(subset=["weights_sha256", "weights_sha256_then"])
    hashed = hashed[(hashed["engine"] != ENSEMBLE) | (hashed["device"] != "cuda")]
    other = hashed[hashed["weights_sha256"] != hashed["weights_sha256_then"]]
    changed: dict[Configuration, tuple[int, ...]] = {}
    for row in other.sort_values("seed").to_dict(orient="records"):
        configuration = (row["variant"], row["backend"])
        changed[configuration] = (*changed.get(configuration, ()), row["seed"])
    return len(hashed), changed


def why_none_held(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why the weights of some or all runs cannot be held against the baseline's.

    Both are as in ``hold_against_baseline``, with the columns of ``PROVENANCE``.
    """
    repeated = night[night["run_id"].isin(baseline["run_id"])]
    if (repeated["engine"] == ENSEMBLE).any():
        return "the last bits of an ensemble on a GPU depend on how many seeds train together"
    if len(repeated):
        return "repeated runs have no hash of their weights, tonight or in the baseline"
    both = night.merge(baseline, on=["variant", "backend", "seed"], suffixes=("", "_then"))
    if both.empty:
        return "no seed of the baseline was trained tonight"
    first = both.iloc[0].fillna("none").astype(str)
    differing = [
        f"{name} is {shown(name, first[name])}, the baseline's {shown(name, first[f'{name}_then'])}"
        for name in ["dtype", "initialisation", "injected_fault", *PROVENANCE]
        if name in night and first[name] != first[f"{name}_then"]
    ]
    return f"no run was repeated: {'; '.join(differing) or 'their recipes differ'}"


def _verdict(
    changed: Mapping[Configuration, tuple[int, ...]], first: Stage, second: Stage | None
) -> str:
    if changed:
        return REGRESSED
    if not first.worse:
        return EQUAL if first.enough else INCONCLUSIVE
    if second is None:
        return SUSPECTED
    if second.worse:
        return REGRESSED
    # To clear takes about as many seeds as to suspect; a suspicion with fewer stays one.
    return EQUAL if second.enough and 2 * _seeds(second) >= _seeds(first) else SUSPECTED


def _seeds(stage: Stage) -> int:
    return max((difference.seeds for difference in stage.differences), default=0)


def _of(runs: pd.DataFrame, configurations: set[Configuration]) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(runs[["variant", "backend"]])
    return runs[keys.isin(list(configurations))]


def _stage(night: pd.DataFrame, baseline: pd.DataFrame, level: float) -> Stage:
    ours, theirs = _table(night), _table(baseline)
    columns = [cast("Column", column) for column in ours.columns.intersection(theirs.columns)]
    if not columns:
        return Stage((), level, level, paired=False, enough=False)
    ours, theirs = ours[columns], theirs[columns]
    both = ours.index.intersection(theirs.index)
    # The seeds that both have are pairs; the others are independent. The larger share is tested.
    paired = 2 * len(both) >= len(ours)
    ours = ours.loc[both] if paired else ours.drop(index=both)
    theirs = theirs.loc[both] if paired else theirs
    a, b = ours.to_numpy(), theirs.to_numpy()
    worse = max_t_test(a, b, permutations=PERMUTATIONS, paired=paired)
    better = max_t_test(-a, -b, permutations=PERMUTATIONS, paired=paired)
    counts, baseline_counts = (~np.isnan(a)).sum(axis=0), (~np.isnan(b)).sum(axis=0)
    corrected = corrected_level(
        level,
        night=max(1, int(counts.max())),
        baseline=max(1, int(baseline_counts.min())),
        columns=len(columns),
    )
    return Stage(
        differences=_differences(columns, a, b, worse, better, level=None if paired else level),
        level=level,
        corrected=corrected,
        paired=paired,
        enough=_least_p_value(a, b, paired=paired) <= corrected,
    )


def _table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return final values by seed and (variant, backend, measure), oriented: larger is worse."""
    measured = runs[["variant", "backend", "seed"]].copy()
    for measure, larger_is_better in MEASURES.items():
        measured[measure] = oriented(runs[measure], larger_is_better=larger_is_better)
    long = measured.melt(["variant", "backend", "seed"], var_name="measure")
    return long.pivot_table(
        index="seed", columns=["variant", "backend", "measure"], values="value", aggfunc="first"
    )


def _differences(
    columns: Sequence[Column],
    ours: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64],
    worse: MaxT,
    better: MaxT,
    level: float | None,
) -> tuple[Difference, ...]:
    """Return what was found column by column; ``level`` is None for pairs."""
    found = []
    for index, (variant, backend, measure) in enumerate(columns):
        sign = -1 if MEASURES[measure] else 1
        a, b = (_present(table[:, index]) for table in (ours, theirs))
        found.append(
            Difference(
                variant=variant,
                backend=backend,
                measure=measure,
                seeds=len(a),
                baseline_seeds=len(b),
                mean=float(sign * a.mean()) if len(a) else np.nan,
                baseline_mean=float(sign * b.mean()) if len(b) else np.nan,
                worse_p=float(worse.p_values[index]),
                better_p=float(better.p_values[index]),
                visible=np.nan if level is None else _visible(a, b, level, len(columns)),
            )
        )
    return tuple(found)


def _visible(
    ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], level: float, columns: int
) -> float:
    if min(len(ours), np.isfinite(theirs).sum()) < LEAST:
        return np.nan
    return smallest_visible_drop(
        theirs, night=len(ours), baseline=len(theirs), level=level, columns=columns
    )


def _present(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return values[~np.isnan(values)]


def _least_p_value(
    night: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64], *, paired: bool
) -> float:
    """Return the smallest p-value that the column of the fewest values can have.

    Both have shape (seeds, columns), NaN where a seed is missing. A test of a few values in one
    column rejects nothing there, however many there are in the others.
    """
    here, there = ~np.isnan(night), ~np.isnan(baseline)
    if paired:
        here = there = here & there
    counts = zip(here.sum(axis=0).tolist(), there.sum(axis=0).tolist(), strict=True)
    return max(_smallest_p_value(*pair, paired=paired) for pair in counts)


def _smallest_p_value(night: int, baseline: int, *, paired: bool) -> float:
    """Return the smallest p-value that so many rows can give: one labelling of all of them."""
    if min(night, baseline) < LEAST:
        return 1.0
    labellings = 2**night if paired else math.comb(night + baseline, night)
    return 1 / min(labellings, 1 + PERMUTATIONS)
