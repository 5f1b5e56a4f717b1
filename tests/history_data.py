"""Made-up nights for the tests of the history, of drift and of the trend figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.special import ndtri

from hnrnn.variants import VARIANTS
from reports.history.nights import SCHEMA, append, read, text_of, verdict_page
from reports.history.shifts import Shift, record
from reports.verdict.acceptance import Acceptance

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


SHIFT, INCOMPLETE, REGRESSED, TORCH, SLOWER = 120, 60, 170, 80, 130
"""The nights of ``write_history`` on which something happens; it is shorter if there are fewer."""
REASON = "targets start at the first word: <b>better</b>"
GATES = "complete data; same computation; notebook's tables; accuracy and loss; throughput"
EVIDENCE = "Tonight, 480 runs are the same to rounding as fastai 1.0.61's runs of their seeds."


def write_history(folder: Path, nights: int = 200, page: str = "") -> None:
    """Write a history of every variant on three backends, as a nightly CI leaves it.

    On the night ``SHIFT``, Model4 becomes better, which fails three nights until the last of them
    is accepted; before, night 0 is the baseline. ``INCOMPLETE`` lacks half of its configurations,
    ``TORCH`` has another torch, and from ``SLOWER`` on Model5's compiled backend loses a two
    hundredth of its throughput every night, and Model7's loss rises. ``page`` is appended to the
    page on each night's verdict.
    """
    generator = np.random.default_rng(0)
    configurations = [
        (name, backend)
        for name, variant in VARIANTS.items()
        for backend in (variant.backend, "compiled", "ensemble")
    ]
    for night in range(nights):
        verdict = {INCOMPLETE: "incomplete", REGRESSED: "regressed", 100: "inconclusive"}
        failing = SHIFT <= night < SHIFT + 3
        night_of_all = {
            "verdict": "differs" if failing else verdict.get(night, "agrees"),
            "device_name": "NVIDIA H100 80GB HBM3",
            "torch_version": "2.12.1" if night < TORCH else "2.13.0",
            "fastai_version": "2.8.12",
            "source_sha256": ("a" if night < SHIFT else "b") * 64,
            "commit": f"{night // 5:08x}" * 5,
            "gates": GATES if night != INCOMPLETE else "",
        }
        rows = []
        for number, (name, backend) in enumerate(configurations):
            if night == INCOMPLETE and number % 2:
                continue
            draws = generator.standard_normal((2, 20))
            draws[0] += 3.0 * (name == "Model4" and night >= SHIFT) - number / 3
            draws[0] -= 2.0 * (name == "Model0" and night == REGRESSED)
            draws[1] += 0.05 * max(0, night - SLOWER) * (name == "Model7")
            row = summary(night, draws, start=20 * night, variant=name) | {"backend": backend}
            ratio = 1.0 + 0.4 * (number % 3) + 0.01 * generator.standard_normal()
            slow = max(0, night - SLOWER) * ((name, backend) == ("Model5", "compiled"))
            ratio *= 1 - 0.005 * slow
            interval = zip(("", "_low", "_high"), (1, 0.98, 1.02), strict=True)
            row |= {f"throughput_ratio{end}": ratio * factor for end, factor in interval}
            rows.append(row | night_of_all)
        append(folder, pa.Table.from_pylist(rows, schema=SCHEMA).to_pandas())
    for _, own in read(folder)[0].groupby("night"):
        text = f"## Verdict\n\n**{own['verdict'].iloc[0].capitalize()}.** {EVIDENCE}\n\n{page}"
        (folder / verdict_page(own)).parent.mkdir(exist_ok=True)
        (folder / verdict_page(own)).write_text(text, encoding="utf-8")
    if nights > SHIFT + 2:
        accepted = FIRST + pd.Timedelta(days=SHIFT + 2)
        when = f"{accepted + pd.Timedelta(hours=5):%Y-%m-%dT%H:%M:%SZ}"
        names = tuple(f"{name} {backend}" for name, backend in configurations if name == "Model4")
        record(folder, Shift(accepted, FIRST, Acceptance(REASON, when, "c" * 40, names, names)))
