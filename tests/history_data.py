"""Made-up nights for the tests of the history, of drift and of the trend figures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from reports.history.nights import SCHEMA

FIRST = pd.Timestamp("2026-01-02 03:04", tz="UTC")
ACCURACY, ACCURACY_SD = 0.8, 0.02
LOSS, LOSS_SD = 1.0, 0.1


def made_up_history(
    nights: int,
    *,
    variant: str = "Model5",
    backends: tuple[str, ...] = ("nn",),
    seeds: int = 25,
    drift: float = 0.0,
    drift_from: int = 0,
    fresh: bool = True,
    random: int = 0,
) -> pd.DataFrame:
    """Return nights of a variant, a day apart, the backends equal but for their throughput.

    The means of a night are normal, with the standard errors of its seeds. From the night
    ``drift_from`` on, accuracy falls and the loss rises by ``drift`` standard errors each night.
    """
    generator = np.random.default_rng(random)
    rows = []
    for night in range(nights):
        moved = drift * max(0, night - drift_from + 1)
        accuracy, loss = generator.standard_normal(2) + np.array([-moved, moved])
        draws = generator.chisquare(seeds - 1, 2) / (seeds - 1)
        start = night * seeds if fresh else 0
        shared = {
            "night": FIRST + pd.Timedelta(days=night),
            "variant": variant,
            "seeds": seeds,
            "seed_ranges": f"{start}-{start + seeds - 1}",
            "diverged": 0,
            "accuracy_mean": ACCURACY + accuracy * ACCURACY_SD / np.sqrt(seeds),
            "accuracy_sd": ACCURACY_SD * np.sqrt(draws[0]),
            "valid_loss_mean": LOSS + loss * LOSS_SD / np.sqrt(seeds),
            "valid_loss_sd": LOSS_SD * np.sqrt(draws[1]),
            "verdict": "agrees",
            "device_name": "a processor",
            "torch_version": "2.13.0",
            "fastai_version": "2.8.12",
            "source_sha256": "s" * 64,
            "commit": "c" * 40,
        }
        for number, backend in enumerate(backends):
            ratio = (
                1.0 if backend == "nn" else 0.8**number * (1 + 0.01 * generator.standard_normal())
            )
            interval = {
                "throughput_ratio": ratio,
                "throughput_ratio_low": 0.98 * ratio,
                "throughput_ratio_high": 1.02 * ratio,
            }
            rows.append(shared | {"backend": backend} | interval)
    history: pd.DataFrame = pa.Table.from_pylist(rows, schema=SCHEMA).to_pandas()
    return history


def made_up_baseline(
    seeds: int, backends: tuple[str, ...] = ("nn",), seed_variance: float = 0.0
) -> pd.DataFrame:
    """Return a baseline's moments from the day before; ``seed_variance`` shifts its accuracy."""
    night = made_up_history(1, backends=backends, seeds=seeds).assign(
        night=FIRST - pd.Timedelta(days=1),
        seed_ranges="baseline",
        accuracy_mean=ACCURACY + seed_variance * ACCURACY_SD / np.sqrt(seeds),
        accuracy_sd=ACCURACY_SD,
        valid_loss_mean=LOSS,
        valid_loss_sd=LOSS_SD,
    )
    return night[SCHEMA.names[: SCHEMA.names.index("throughput_ratio")]]
