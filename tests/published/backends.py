"""The section on backends: what each costs, and depth, backend or seed variance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from tests.published.page import MODELS, OWN, Page, Records

BACKENDS = ["nn", "cell", "custom", "custom_hoisted", "compiled"]
"""In the page's order."""


def check(page: Page, records: Records) -> None:
    """Claim everything in the section."""
    samples = records.throughput
    samples = samples[samples["status"] == "ok"]
    newest = samples.groupby("variant")["started_at"].transform("max")
    samples = samples[samples["started_at"] == newest]
    seconds = samples["wall_seconds"] / samples["steps"]
    speed = samples["tokens"] / samples["wall_seconds"]
    _claim_costs(page, samples.assign(step=seconds, speed=speed))
    last = records.exact[records.exact["epoch"] == 9]
    _claim_attribution(page, records, last[last["initialisation"] == "ones"])


def _claim_costs(page: Page, samples: pd.DataFrame) -> None:
    first = samples.iloc[0]
    page.claim(
        f"torch {first['torch_version']}, {first['threads']} thread, {first['dtype']}, "
        f"{samples['round'].nunique()} rounds."
    )
    rows, ratios = [], {}
    for variant, of_variant in samples.groupby("variant"):
        reference = "nn" if variant >= "Model4" else "custom"
        names = [name for name in BACKENDS if name in set(of_variant["backend"])]
        for backend in names:
            for aa_control in (False, True) if backend == reference else (False,):
                mine = of_variant[
                    (of_variant["backend"] == backend) & (of_variant["aa_control"] == aa_control)
                ]
                rows.append(_costs(of_variant, mine, reference))
            quotients = _quotients(of_variant, mine, reference, "train_step")
            ratios[variant, backend] = 1.0 if backend == reference else np.median(quotients)
    page.claim_table(f"### On {first['device_name']}", rows)
    table = [
        [
            variant,
            *(f"{ratios[variant, b]:.2f}" if (variant, b) in ratios else "-" for b in BACKENDS),
        ]
        for variant in sorted(samples["variant"].unique())
    ]
    page.claim_table("# The human-numbers notebook, reproduced", table, place=1)


def _costs(of_variant: pd.DataFrame, mine: pd.DataFrame, reference: str) -> list[str]:
    timed = mine[mine["phase"] == "train_step"]
    once = mine.groupby("phase")["compile_seconds"].first().reindex(["train_step", "validation"])
    parity = [f"{timed[name].iloc[0]:.0e}" for name in ("parity_float64", "parity_float32")]
    return [
        timed["variant"].iloc[0],
        timed["backend"].iloc[0] + (" (A/A control)" if timed["aa_control"].iloc[0] else ""),
        *(_ratio(of_variant, mine, reference, phase)
          for phase in ("train_step", "forward", "validation")),
        f"{1000 * timed['step'].median():.2f}",
        f"{timed['speed'].median():,.0f}",
        "-" if once.isna().any() else f"{once.sum():.1f}",
        f"{timed['peak_memory_bytes'].iloc[0] / 2**20:.1f}",
        *parity,
        timed["kernel"].iloc[0],
    ]  # fmt: skip


def _quotients(
    of_variant: pd.DataFrame, mine: pd.DataFrame, reference: str, phase: str
) -> np.ndarray:
    """Return the reference's time over a backend's, round by round."""
    uncontrolled = of_variant[(of_variant["backend"] == reference) & ~of_variant["aa_control"]]
    theirs, ours = (
        frame[frame["phase"] == phase].sort_values("round")["step"].to_numpy()
        for frame in (uncontrolled, mine)
    )
    return theirs / ours


def _ratio(of_variant: pd.DataFrame, mine: pd.DataFrame, reference: str, phase: str) -> str:
    """Return the median ratio of a phase and its bootstrap interval as the page writes them."""
    quotients = _quotients(of_variant, mine, reference, phase)
    generator = np.random.default_rng(0)
    interval = stats.bootstrap(
        (quotients,), np.median, n_resamples=2000, method="percentile", rng=generator
    ).confidence_interval
    return f"{np.median(quotients):.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _points(share: float) -> str:
    return f"{round(100 * share, 2) + 0.0:+.2f}"


def _interval(mean: float, error: float, freedom: float) -> tuple[float, float]:
    """Return the 95% interval of a mean with so many degrees of freedom."""
    half = error * stats.t.ppf(0.975, freedom)
    return mean - half, mean + half


def _effect(mean: float, interval: tuple[float, float]) -> list[str]:
    return [_points(mean), f"{_points(interval[0])} to {_points(interval[1])}"]


def _claim_attribution(page: Page, records: Records, final: pd.DataFrame) -> None:
    def of(model: str, backend: str) -> pd.Series:
        rows = final[(final["variant"] == model) & (final["backend"] == backend)]
        return rows.set_index("seed")["accuracy"]

    models = MODELS[5:]
    measured = [name for name in BACKENDS if all(len(of(model, name)) for model in models)]
    rows, depths = [], {}
    for backend in measured:
        deep = of("Model5", backend)
        flat = pd.concat([of("Model6", backend), of("Model7", backend)])
        depths[backend] = mean = deep.mean() - flat.mean()
        parts = [sample.var(ddof=1) / len(sample) for sample in (deep, flat)]
        # Welch and Satterthwaite.
        below = sum(p**2 / (len(s) - 1) for p, s in zip(parts, (deep, flat), strict=True))
        interval = _interval(mean, np.sqrt(sum(parts)), sum(parts) ** 2 / below)
        if backend == "nn":
            page.claim(
                f"A second layer changes the final accuracy by {_points(mean)} points; the 95% "
                f"interval over {min(len(deep), len(flat))} seeds is {_points(interval[0])} to "
                f"{_points(interval[1])}, which excludes 0."
            )
        rows.append([f"depth, on {backend}", *_effect(mean, interval),
                     str(min(len(deep), len(flat))), "-"])  # fmt: skip
    steps: dict[tuple[str, str], float] = {}
    for model in models:
        for backend in measured[1:]:
            apart = (of(model, backend) - of(model, "nn")).dropna()
            steps[model, backend] = mean = apart.mean()
            interval = _interval(mean, apart.std(ddof=1) / np.sqrt(len(apart)), len(apart) - 1)
            assert interval[0] <= 0 <= interval[1]
            rows.append([f"{model}: {backend} - nn", *_effect(mean, interval), str(len(apart)),
                         f"{(apart == 0).mean():.2f}"])  # fmt: skip
    heading = "### Depth, backend or seed variance?"
    page.claim_table(heading, rows, place=1)
    page.claim(
        f"Of {len(steps)} comparisons of a backend with `nn`, none has a 95% interval that "
        f"excludes 0 (chance alone gives {0.05 * len(steps):.1f} of them); the largest mean "
        f"difference is {_points(max(steps.values(), key=abs))} points."
    )
    fewest = min(len(of(model, backend)) for model in models for backend in BACKENDS[:3])
    page.claim(f"with at least {fewest} seeds.")
    pairs = [("Model5", "Model6"), ("Model5", "Model7"), ("Model6", "Model7")]
    rows = []
    for first, second in pairs:
        ends = [records.table(model)["accuracy"].iloc[-1] for model in (first, second)]
        runs = [of(model, OWN[model]).to_numpy() for model in (first, second)]
        deep = depths["nn"] if first == "Model5" else 0.0
        by_backend = steps.get((first, OWN[first]), 0.0) - steps.get((second, OWN[second]), 0.0)
        seed_variance = ends[0] - ends[1] - deep - by_backend
        apart = np.subtract.outer(*runs) - (runs[0].mean() - runs[1].mean())
        rows.append(
            [
                f"{first} - {second}",
                *map(_points, (ends[0] - ends[1], deep, by_backend, seed_variance)),
                f"{100 * np.hypot(runs[0].std(ddof=1), runs[1].std(ddof=1)):.2f}",
                f"{(np.abs(apart) >= abs(seed_variance)).mean():.2f}",
            ]
        )
    page.claim_table(heading, rows)
