"""Is a night worse than a frozen baseline: really, and not by seed variance?

First determinism: a run that both have, by its id, must have ended with the very same weights.
Then the distributions: one max-T permutation test over all configurations of the grid and both
measures, final accuracy and final validation loss, at a level that is corrected for the baseline's
own seed variance. What it suspects is confirmed, or not, on fresh seeds: a regression is what both
stages reject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from bench.store.records import ENSEMBLE
from reports.runs.completeness import PROVENANCE, shown
from reports.runs.night import Configuration
from reports.verdict.stage import Difference, Stage, compare_grids

LEVEL = 0.05
"""The level of each stage for the whole grid: both together err about once in 400 nights."""
EQUAL, SUSPECTED, REGRESSED, INCONCLUSIVE = "equal", "suspected", "regressed", "inconclusive"


@dataclass(frozen=True)
class Comparison:
    """A night held against a baseline."""

    same_runs: int
    """Runs that both have."""
    gpu_ensemble_runs: int
    """Those of them that an ensemble trained on a GPU: their last bits may differ."""
    held_runs: int
    """Those of the others whose weights could be compared."""
    changed: Mapping[Configuration, tuple[int, ...]]
    """The seeds of those that did not end with the same weights, by configuration."""
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

    Each has one row per run with ``run_id, variant, backend, seed, device, weights_sha256,
    accuracy, valid_loss``, the last two after the last epoch. Only configurations that both have
    are tested.
    """
    repeated = night[night["run_id"].isin(baseline["run_id"])]
    held_runs, changed = changed_runs(night, baseline)
    first = compare_grids(night, baseline, level)
    verdict = _verdict(changed, first, None)
    comparison = Comparison(
        same_runs=len(repeated),
        gpu_ensemble_runs=int(_on_gpu_ensemble(repeated).sum()),
        held_runs=held_runs,
        changed=changed,
        first=first,
        confirmation=None,
        verdict=verdict,
    )
    return comparison if confirmation is None else confirm(comparison, confirmation, baseline)


def confirm(comparison: Comparison, fresh: pd.DataFrame, baseline: pd.DataFrame) -> Comparison:
    """Compare fresh seeds of the suspected configurations with the same baseline.

    ``fresh`` has the columns of ``hold_against_baseline``. A comparison that suspects nothing is
    returned unchanged.
    """
    first = comparison.first
    if not first.worse:
        return comparison
    configurations = {difference.configuration for difference in first.worse}
    second = compare_grids(_of(fresh, configurations), baseline, first.level)
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
    hashed = hashed[~_on_gpu_ensemble(hashed)]
    other = hashed[hashed["weights_sha256"] != hashed["weights_sha256_then"]]
    changed: dict[Configuration, tuple[int, ...]] = {}
    for row in other.sort_values("seed").to_dict(orient="records"):
        configuration = (row["variant"], row["backend"])
        changed[configuration] = (*changed.get(configuration, ()), row["seed"])
    return len(hashed), changed


def _on_gpu_ensemble(runs: pd.DataFrame) -> pd.Series:
    return (runs["backend"] == ENSEMBLE) & (runs["device"] == "cuda")


def why_none_held(night: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say why the weights of some or all runs cannot be held against the baseline's.

    Both are as in ``hold_against_baseline``, with the columns of ``PROVENANCE``.
    """
    repeated = night[night["run_id"].isin(baseline["run_id"])]
    if _on_gpu_ensemble(repeated).any():
        return "the last bits of an ensemble on a GPU depend on how many seeds are trained together"
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
    # Clearing a suspicion takes at least half as many seeds as raised it.
    many = 2 * _seeds(second.differences) >= _seeds(first.worse)
    return EQUAL if second.enough and many else SUSPECTED


def _seeds(differences: Sequence[Difference]) -> int:
    return max((difference.seeds for difference in differences), default=0)


def _of(runs: pd.DataFrame, configurations: set[Configuration]) -> pd.DataFrame:
    keys = pd.MultiIndex.from_frame(runs[["variant", "backend"]])
    return runs[keys.isin(list(configurations))]
