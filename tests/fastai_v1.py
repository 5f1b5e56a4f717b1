"""Our runs against those of fastai 1.0.61 (``hnrnn.published`` and ``tests/data``).

``python -m tests.fastai_v1 RESULTS`` holds a results folder against the 60 runs of every model:
seed by seed where both have a seed, and the final losses and accuracies of the other seeds as a
distribution. It exits with 1 where Holm's correction finds a difference.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bench.store.store import Store
from hnrnn.models import build_model
from hnrnn.published import MEASURES, reference_runs
from reports.runs.selection import select
from reports.statistics.ranks import holm

DATA = Path(__file__).parent / "data"
SEEDS = 60
"""fastai v1 ran seeds from 0 to this, in every variant."""


def parity_runs() -> pd.DataFrame:
    """Return the float64 runs: ``model, seed, epoch, train_loss, valid_loss, accuracy``."""
    return pd.read_csv(DATA / "fastai_1_0_61_float64_parity.csv")


def distribution() -> pd.DataFrame:
    """Return the 60 float32 runs of every variant, in the columns of ``reference_runs``."""
    runs = reference_runs()
    return runs[(runs["initialisation"] == "ones") & (runs["seed"] < SEEDS)]


def parity_weights(model: str, seed: int) -> dict[str, np.ndarray]:
    """Return the initial weights of a parity run by parameter name, in float64."""
    generator = np.random.RandomState(seed)
    shapes = {name: p.shape for name, p in build_model(model).named_parameters()}
    return {
        name: generator.standard_normal(shapes[name]) * 0.1
        for name in sorted(shapes)
        if not name.startswith("bn.")
    }


def p_values(ours: pd.DataFrame, *, last: bool = True) -> pd.DataFrame:
    """Return two-sample Kolmogorov-Smirnov p-values, a row a model and measure.

    ``ours`` has columns ``variant, seed, epoch`` and the measures. Compared is each model's last
    epoch, or with ``last=False`` its first. ``holm`` is Holm's correction over all rows. Seeds
    that v1's runs have too are left out: they start from the same weights and end at the same
    values, so that the two samples would be one.
    """
    theirs = distribution()
    ours = ours[~ours["seed"].isin(theirs["seed"])]
    rows: list[dict[str, Any]] = []
    for model, of_model in ours.groupby("variant"):
        reference = theirs[theirs["variant"] == model]
        epoch = reference["epoch"].max() if last else 0
        for measure in MEASURES:
            a = of_model.loc[of_model["epoch"] == epoch, measure]
            b = reference.loc[reference["epoch"] == epoch, measure]
            p = stats.ks_2samp(a, b, method="exact").pvalue
            rows.append({"model": model, "measure": measure, "seeds": len(a), "p": p})
    table = pd.DataFrame(rows).sort_values("p", ignore_index=True)
    table["holm"] = holm(table["p"])
    return table


def same_seed_differences(ours: pd.DataFrame) -> pd.DataFrame:
    """Return the largest absolute difference to v1's runs of the same seeds.

    A row a model, a column a measure; ``runs`` and ``rows`` count what was compared. v1's values
    are stored with seven digits.
    """
    theirs = distribution()
    both = ours.merge(theirs, on=["variant", "seed", "epoch"], suffixes=("", "_v1"))
    for measure in MEASURES:
        both[measure] = (both[measure] - both[f"{measure}_v1"]).abs()
    groups = both.groupby("variant")
    counts = groups.agg(runs=("seed", "nunique"), rows=("epoch", "size"))
    return counts.join(groups[list(MEASURES)].max())


def main(results: str) -> int:
    """Print the table for a results folder; return 1 where Holm's p is below 0.05, else 0."""
    epochs = select(Store(results).read()).epochs
    differences = same_seed_differences(epochs)
    print("Seeds that both have: the largest difference over all epochs")
    print(differences.to_string(float_format="{:.1e}".format))
    if set(epochs["seed"]) <= set(distribution()["seed"]):
        print("\nNo other seeds: the distributions cannot be compared")
        return 0
    print("\nOther seeds: Kolmogorov-Smirnov tests of the last epoch")
    table = p_values(epochs)
    print(table.to_string(index=False, float_format="{:.4f}".format))
    smallest = table.iloc[0]
    print(
        f"{len(table)} tests; smallest p {smallest['p']:.4f}, {smallest['holm']:.3f} after Holm: "
        f"{smallest['model']} {smallest['measure']}"
    )
    return int(smallest["holm"] < 0.05)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
