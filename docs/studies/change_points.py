"""Which detector sees a change of a nightly value first, at equal false alarms, and dates it best?

    $ pip install --no-deps --target otava apache-otava==0.8.0
    $ PYTHONPATH=otava python docs/studies/change_points.py --quick

Histories of ``NIGHTS`` nights are simulated with a step or a slow drift from night ``CHANGED`` on.
Every detector looks at every night, and knows what came before only. Its threshold is calibrated on
histories without a change, so that a share ``FALSE_ALARMS`` of them has an alarm. Sizes are in
standard deviations of a night's value.

- ``seeds``: nights of 20 fresh seeds, drawn from the real final values of a published model.
- ``throughput``: heavy tails (Student's t, 3 degrees of freedom) and day effects (a fifth of the
  variance, with a correlation of 0.5 from one night to the next).

Otava runs without its clients (BigQuery, PostgreSQL, Slack): its algorithm needs NumPy and SciPy
only.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from e_divisive import FIRST, calibrated_level, energies, first_pass, otava_alarms
from scipy.special import ndtri

from reports.history.columns import DAY_EFFECTS
from reports.history.drift import lasting_seed_variance
from reports.statistics import clopper_pearson
from reports.statistics.cusum import REFERENCE_VALUE, cusum, placements, threshold

NIGHTS, CHANGED = 300, 100
"""The nights of a history, and the first changed one."""
COLUMNS = 16
FALSE_ALARMS = 1 - math.exp(-NIGHTS / (1095 * COLUMNS))
"""One in three years over a grid of 16 columns: the share of one column's histories."""
SEEDS = 20
CHANGES = {
    **{f"step of {size:g}": (size, 1) for size in (0.5, 1, 2, 4)},
    **{f"drift of {size:g} over {n} nights": (size, n) for size in (1, 2, 4) for n in (50, 100)},
}
SEQUENTIAL = "CUSUM of sequential ranks"
BOTH = "both CUSUMs, baseline of 100 seeds"
CHOSEN = (BOTH, f"{SEQUENTIAL}, for day effects")
"""The charts that ``reports.history.drift`` has; their alarms are dated in several ways."""
OUTPUT = Path("reports/published/calibration/change_points.csv")

Array = npt.NDArray[np.float64]
Charts = dict[str, Array]


def moved(size: float, over: int) -> Array:
    """Return how far each night's mean has moved, shape (nights,)."""
    return size * np.clip((np.arange(NIGHTS) - CHANGED + 1) / over, 0, 1)


def seeds_history(count: int, shift: Array, generator: np.random.Generator) -> tuple[Array, Charts]:
    """Return nightly means, shape (count, nights), and their scores against baselines."""
    epochs = pd.read_parquet("reports/published/ensemble/epochs").sort_values("epoch")
    runs = epochs.drop_duplicates("run_id", keep="last")
    measures = [
        (rows[name] - rows[name].mean()) / rows[name].std()
        for _, rows in runs.groupby("variant")
        for name in ("accuracy", "valid_loss")
    ]
    means, growing = np.empty((2, count, NIGHTS))
    frozen = {m: np.empty((count, NIGHTS)) for m in (100, 1000)}
    for number in range(count):
        source = measures[number % len(measures)].dropna().to_numpy()
        values = generator.choice(source, (NIGHTS, SEEDS)) + shift[:, None] / math.sqrt(SEEDS)
        means[number] = values.mean(axis=1) * math.sqrt(SEEDS)
        for m, scores in frozen.items():
            placed = placements(values.ravel(), generator.choice(source, m)) - 0.5
            unit = math.sqrt(SEEDS * (m + 1) / (12 * m))
            scores[number] = placed.reshape(NIGHTS, SEEDS).sum(axis=1) / unit
        growing[number] = growing_scores(values, generator.choice(source, 100))
    charts = {"CUSUM, baseline of 100 seeds and earlier nights": highest(growing, REFERENCE_VALUE)}
    for m, scores in frozen.items():
        allowed = lasting_seed_variance(COLUMNS) * math.sqrt(SEEDS / (m + 1))
        charts[f"CUSUM, baseline of {m} seeds"] = highest(scores, REFERENCE_VALUE + allowed)
    names = ("CUSUM, baseline of 100 seeds", "CUSUM, baseline of 100 seeds and earlier nights")
    charts[BOTH] = np.maximum(*(charts[name] for name in names))
    return means, charts


def growing_scores(values: Array, pool: Array) -> Array:
    """Return each night's rank sum among the baseline's seeds and those of all earlier nights.

    They are independent of one another while nothing changes, and have a variance of 1.
    """
    scores = np.empty(len(values))
    pool = np.sort(pool)
    for night, own in enumerate(values):
        n, m = len(own), len(pool)
        below = np.searchsorted(pool, own, "left") + np.searchsorted(pool, own, "right")
        unit = math.sqrt(n * (m + n + 1) / (12 * m))
        scores[night] = (below / (2 * m) - 0.5).sum() / unit
        pool = np.sort(np.concatenate([pool, own]), kind="stable")
    return scores


def throughput_history(
    count: int, shift: Array, generator: np.random.Generator
) -> tuple[Array, Charts]:
    """Return nightly log ratios, shape (count, nights), of variance 1 about ``shift``."""
    own = generator.standard_t(3, (count, NIGHTS)) / math.sqrt(3)
    day = generator.standard_normal((count, NIGHTS))
    for night in range(1, NIGHTS):
        day[:, night] = 0.5 * day[:, night - 1] + math.sqrt(0.75) * day[:, night]
    values = math.sqrt(0.8) * own + math.sqrt(0.2) * day + shift
    scores = sequential_ranks(values) / DAY_EFFECTS
    return values, {f"{SEQUENTIAL}, for day effects": highest(scores, REFERENCE_VALUE)}


def sequential_ranks(values: Array) -> Array:
    """Return the normal scores of each value's rank among those before it."""
    ranks = np.zeros_like(values)
    for night in range(FIRST, values.shape[1]):
        signs = np.sign(values[:, [night]] - values[:, :night]).sum(axis=1)
        ranks[:, night] = ndtri((signs + night + 1) / (2 * (night + 1)))
    return ranks


def highest(scores: Array, reference_value: float) -> Array:
    """Return the higher of both CUSUM charts of each history."""
    return np.maximum(*cusum(scores.T, reference_value)).T


def self_starting(values: Array) -> Charts:
    """Return the charts that need no baseline."""
    count, nights = values.shape
    split, differences = np.zeros((2, count, nights))
    for night in range(1, nights):
        signs = np.sign(values[:, [night]] - values[:, :night])
        differences[:, 1 : night + 1] += np.cumsum(signs, axis=1)
        before = np.arange(1, night + 1)
        scale = np.sqrt(before * (night + 1 - before) * (night + 2) / 3)
        if night >= FIRST:
            split[:, night] = np.abs(differences[:, 1 : night + 1] / scale).max(axis=1)
    first = values[:, : 3 * FIRST]
    frozen = (values - first.mean(axis=1, keepdims=True)) / first.std(axis=1, ddof=1, keepdims=True)
    frozen[:, : 3 * FIRST] = 0
    return {
        SEQUENTIAL: highest(sequential_ranks(values), REFERENCE_VALUE),
        "CUSUM, first 30 nights": highest(frozen, REFERENCE_VALUE),
        "largest rank sum of a split": split,
    }


def first_alarms(chart: Array, level: float) -> npt.NDArray[np.int64]:
    """Return the first night from ``FIRST`` on at which each chart is at the level; -1 for none."""
    above = chart >= level
    above[:, :FIRST] = False
    return np.where(above.any(axis=1), above.argmax(axis=1), -1)


def likely(values: Array, end: int) -> dict[str, int]:
    """Return the night that each method names, of values up to ``end``, the alarm's night."""
    past = values[: end + 1]
    before = np.arange(1, end + 1)
    ranks = past.argsort().argsort() + 1.0
    named = {}
    for method, series in (("mean split", past), ("rank split", ranks)):
        sums = np.cumsum(series - series.mean())[:-1]
        named[method] = 1 + int((sums**2 / (before * (end + 1 - before))).argmax())
    named["E-Divisive"] = 1 + int(energies(past).max(axis=-1).argmax())
    return named


def row_of(alarms: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return how soon a change is found; alarms before it are false and do not count."""
    late = np.where(alarms < 0, NIGHTS, alarms)
    waits = late[late >= CHANGED] - CHANGED + 1
    return {
        "histories": len(waits),
        "found": float((waits <= NIGHTS - CHANGED).mean()),
        "nights_median": float(np.median(waits)),
        "nights_mean": float(waits.mean()),
    }


def errors_of(named: npt.NDArray[np.int64]) -> dict[str, float]:
    """Return how far the named nights are from the first changed one."""
    errors = named - CHANGED
    if not len(errors):
        return {}
    return {
        "error_median": float(np.median(errors)),
        "absolute_error_median": float(np.median(np.abs(errors))),
        "within_3_nights": float((np.abs(errors) <= 3).mean()),
    }


def dated(values: Array, chart: Array, alarms: npt.NDArray[np.int64]) -> list[dict[str, object]]:
    """Return a row for every way of dating the alarms of a chart: at once, and ten nights later."""
    rows: list[dict[str, object]] = []
    real = np.flatnonzero(alarms >= CHANGED)
    zeros = [1 + int(np.flatnonzero(np.r_[0, chart[n, : alarms[n]]] == 0)[-1]) - 1 for n in real]
    rows.append({"dated_by": "the chart's last zero", **errors_of(np.array(zeros))})
    for later in (0, 10):
        ends = np.minimum(alarms[real] + later, NIGHTS - 1)
        named = [likely(values[n], int(end)) for n, end in zip(real, ends, strict=True)]
        for method in named[0] if named else ():
            label = method + (f", {later} nights later" if later else "")
            nights = np.array([nights[method] for nights in named])
            rows.append({"dated_by": label, **errors_of(nights)})
    return rows


def study(
    noise: str,
    simulate: Callable[[int, Array, np.random.Generator], tuple[Array, Charts]],
    null: int,
    changed: int,
) -> list[dict[str, object]]:
    """Calibrate every detector on a noise and measure it on every change."""
    generator = np.random.default_rng(20)
    values, charts = simulate(null, np.zeros(NIGHTS), generator)
    charts |= self_starting(values)
    levels = {
        name: float(np.quantile(chart[:, FIRST:].max(axis=1), 1 - FALSE_ALARMS, method="higher"))
        for name, chart in charts.items()
    }
    levels["Otava"] = calibrated_level(values, FALSE_ALARMS, tried=9)
    values, charts = simulate(null, np.zeros(NIGHTS), generator)
    charts |= self_starting(values)
    theory = {
        f"{name}, theory's threshold": threshold(1095, COLUMNS * (1 + (name == BOTH)))
        for name in charts
        if "baseline" in name or SEQUENTIAL in name
    }
    rows: list[dict[str, object]] = []
    for name, level in (levels | theory).items():
        chart = charts.get(name.removesuffix(", theory's threshold"))
        alarms = (
            otava_alarms(values, first_pass(values), level)[0]
            if chart is None
            else first_alarms(chart, level)
        )
        count = int((alarms >= 0).sum())
        low, high = clopper_pearson(count, null)
        rows.append({"change": "none", "level": level, "detector": name, "histories": null,
                     "alarms": count, "low": low, "high": high})  # fmt: skip
        print(noise, rows[-1], flush=True)
    for change, (size, over) in CHANGES.items():
        values, charts = simulate(changed, moved(size, over), generator)
        charts |= self_starting(values)
        for name, level in levels.items():
            if name == "Otava":
                alarms, named = otava_alarms(values, first_pass(values), level)
                own = [{"dated_by": "its own change point", **errors_of(named[alarms >= CHANGED])}]
            else:
                alarms = first_alarms(charts[name], level)
                own = dated(values, charts[name], alarms) if name in CHOSEN else [{}]
            about = {"change": change, "level": level, "detector": name, **row_of(alarms)}
            rows += [about | row for row in own]
            print(noise, rows[-1], flush=True)
    return [{"noise": noise, **row} for row in rows]


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the histories")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="default: %(default)s")
    arguments = parser.parse_args()
    null, changed = (200, 20) if arguments.quick else (2000, 200)
    rows = study("seeds", seeds_history, null, changed)
    rows += study("throughput", throughput_history, null, changed)
    pd.DataFrame(rows).to_csv(arguments.output, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
