"""Made-up nights for the tests of the history, of drift and of the trend figures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import ndtri

from reports.history.nights import SCHEMA, text_of

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

    A seed's values are normal. From the night ``drift_from`` on, accuracy falls and the loss rises
    by ``drift`` standard errors of a night's mean each night.
    """
    generator = np.random.default_rng(random)
    rows = []
    for night in range(nights):
        moved = drift * max(0, night - drift_from + 1)
        draws = generator.standard_normal((2, seeds)) + [[-moved], [moved]] / np.sqrt(seeds)
        shared = {
            **summary(night, draws, start=night * seeds if fresh else 0, variant=variant),
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


def summary(
    night: int, draws: npt.NDArray[np.float64], *, start: int, variant: str = "Model5"
) -> dict[str, object]:
    """Return the moments of a night whose seeds count from ``start``.

    ``draws`` has their accuracies and losses in standard deviations, shape (2, seeds).
    """
    values = np.array([[ACCURACY], [LOSS]]) + draws * [[ACCURACY_SD], [LOSS_SD]]
    seeds = start + np.arange(values.shape[1])
    return {
        "night": FIRST + pd.Timedelta(days=night),
        "variant": variant,
        "backend": "nn",
        "seeds": len(seeds),
        "seed_ranges": f"{start}-{start + len(seeds) - 1}",
        "diverged": 0,
        "final_values": text_of(np.column_stack([seeds, *values])),
        "accuracy_mean": values[0].mean(),
        "accuracy_sd": values[0].std(ddof=1) if len(seeds) > 1 else np.nan,
        "valid_loss_mean": values[1].mean(),
        "valid_loss_sd": values[1].std(ddof=1) if len(seeds) > 1 else np.nan,
    }


def even(seeds: int) -> npt.NDArray[np.float64]:
    """Return values as even as a normal sample can be, in standard deviations."""
    return ndtri((np.arange(seeds) + 0.5) / seeds)  # type: ignore[no-any-return]


def made_up_baseline(
    seeds: int, backends: tuple[str, ...] = ("nn",), moved: float = 0.0
) -> pd.DataFrame:
    """Return a baseline's moments from the day before, of seeds that no night has.

    Its values are even; ``moved`` shifts the accuracy, in standard errors.
    """
    draws = np.array([even(seeds) + moved / np.sqrt(seeds), even(seeds)])
    row = summary(-1, draws, start=10**6)
    row |= {"accuracy_sd": ACCURACY_SD, "valid_loss_sd": LOSS_SD}
    return pd.DataFrame([row | {"backend": backend} for backend in backends])
