"""Made-up frames for the tests of the verdicts: as the store reads them, without a store."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hnrnn.published import MEASURES, tables
from hnrnn.variants import VARIANTS


def made_up_epochs(
    seeds: int, *, moved: dict[str, float] | None = None, start: int = 0
) -> pd.DataFrame:
    """Return epochs of every variant, like the notebook's but for a draw a run and measure.

    ``moved`` adds to all values of a variant.
    """
    published = tables()
    by_variant = {str(variant): rows for variant, rows in published.groupby("model")}
    generators = [np.random.default_rng(seed) for seed in range(start, start + seeds)]
    draws = np.array([generator.standard_normal((len(by_variant), 3)) for generator in generators])
    frames = []
    for number, (variant, rows) in enumerate(by_variant.items()):
        table = rows[list(MEASURES)].to_numpy() + (moved or {}).get(variant, 0.0)
        values = table + 0.05 * draws[:, number : number + 1]
        frame = pd.DataFrame(values.reshape(-1, 3), columns=list(MEASURES))
        frame["variant"] = variant
        frame["backend"] = VARIANTS[variant].backend
        frame["seed"] = np.repeat(np.arange(start, start + seeds), len(rows))
        frame["epoch"] = np.tile(rows["epoch"].to_numpy(), seeds)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def made_up_grid(
    seeds: int, *, start: int = 0, moved: dict[tuple[str, str], float] | None = None
) -> pd.DataFrame:
    """Return final values of every variant on its own backend, a row a run.

    The draws are those of the seed; ``moved`` lowers a configuration's accuracy and raises its
    loss.
    """
    rows = []
    for seed in range(start, start + seeds):
        generator = np.random.default_rng(seed)
        for variant in VARIANTS.values():
            configuration = (variant.name, variant.backend)
            by = (moved or {}).get(configuration, 0.0)
            accuracy, loss = generator.standard_normal(2) * [0.03, 0.2] + [0.7 - by, 1.5 + by]
            rows.append(
                {
                    "run_id": f"{variant.name}-{seed}",
                    "variant": variant.name,
                    "backend": variant.backend,
                    "seed": seed,
                    "device": "cpu",
                    "weights_sha256": f"{configuration}{seed}{by}",
                    "accuracy": accuracy,
                    "valid_loss": loss,
                }
            )
    return pd.DataFrame(rows)
