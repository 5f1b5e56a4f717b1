"""Every number in the tables of the published report, from its parquet by other code.

Nothing of ``reports`` is imported here: only pandas, numpy and scipy read the data again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "reports" / "published" / "cpu"
DATA = ROOT / "hnrnn" / "published"
MEASURES = ["train_loss", "valid_loss", "accuracy"]
MODELS = [f"Model{number}" for number in range(8)]
OWN = dict(zip(MODELS, ["custom"] * 4 + ["nn", "nn", "cell", "custom"], strict=True))


@pytest.fixture(scope="module")
def report() -> str:
    """Return the published page."""
    return (PUBLISHED / "report" / "report.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def notebook() -> pd.DataFrame:
    """Return the notebook's tables."""
    return pd.read_csv(DATA / "tables.csv")


@pytest.fixture(scope="module")
def epochs() -> pd.DataFrame:
    """Return every epoch with the start of its BatchNorm weights, rounded as a notebook prints."""
    runs = pd.read_parquet(PUBLISHED / "runs")[["run_id", "initialisation"]]
    return pd.read_parquet(PUBLISHED / "epochs").merge(runs, on="run_id").round(6)


def own(epochs: pd.DataFrame, model: str, start: str = "ones") -> pd.DataFrame:
    """Return a model's epochs on the notebook's backend."""
    alike = (epochs["variant"] == model) & (epochs["backend"] == OWN[model])
    return epochs[alike & (epochs["initialisation"] == start)]


def rows_under(report: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, header left out."""
    lines = report.split(f"{heading}\n", 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("| "))
    rows = []
    for line in lines[start:]:
        if not line.startswith("| "):
            break
        rows.append([cell.strip() for cell in line.strip("| ").split(" | ")])
    return rows[2:]


def as_curves(frame: pd.DataFrame, key: str) -> np.ndarray:
    """Return a row a run: training losses, validation losses, accuracies."""
    parts = [frame.pivot_table(index=key, columns="epoch", values=name) for name in MEASURES]
    return np.hstack([part.to_numpy() for part in parts])


def envelope_p(observed: np.ndarray, sample: np.ndarray) -> float:
    """Return the share of curves at least as extreme, by comparing sorted ranks one by one."""
    curves = np.vstack([observed, sample])
    low = np.array([stats.rankdata(column) for column in curves.T]).T
    high = np.array([stats.rankdata(-column) for column in curves.T]).T
    keys = [tuple(sorted(row)) for row in np.minimum(low, high)]
    return sum(key <= keys[0] for key in keys) / len(keys)


def rank_p(value: float, sample: np.ndarray) -> float:
    """Return the two-sided rank p-value."""
    tails = [1 + sum(x <= value for x in sample), 1 + sum(x >= value for x in sample)]
    return min(1.0, 2 * min(tails) / (len(sample) + 1))


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's adjustment."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def quantities(sample: np.ndarray, value: float) -> list[str]:
    """Return median, interval and rank as the page writes them."""
    low, middle, high = np.percentile(sample, [2.5, 50, 97.5])
    rank = 1 + (sample < value).sum() + (sample == value).sum() / 2
    return [f"{middle:.4f}", f"{low:.4f} to {high:.4f}", f"{rank:g} of {len(sample) + 1}"]


@pytest.mark.parametrize("model", MODELS)
def test_tables(model: str, report: str, notebook: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """Each of the 92 rows: the notebook's values, ours, and seconds an epoch."""
    rows = rows_under(report, f"## {model}")
    published = notebook[notebook["model"] == model]
    assert len(rows) == len(published)
    for cells, (_, row) in zip(rows, published.iterrows(), strict=True):
        ours = own(epochs, model)[lambda frame, row=row: frame["epoch"] == row["epoch"]]
        expected = [str(row["epoch"])]
        for name in MEASURES:
            expected += [f"{row[name]:.6f}", *quantities(ours[name].to_numpy(), row[name])]
        assert cells[:-2] == expected
        assert cells[-2] == str(row["seconds"])
        seconds = ours["train_seconds"] + ours["valid_seconds"]
        assert float(cells[-1]) == pytest.approx(seconds.median(), abs=0.0051)


def test_first_screen_and_certificates(
    report: str, notebook: pd.DataFrame, epochs: pd.DataFrame
) -> None:
    """The eight verdicts: three p-values a model, Holm, how many as extreme and the interval."""
    p_values: list[list[float]] = []
    for model in MODELS:
        theirs = as_curves(notebook[notebook["model"] == model], "model")[0]
        ours = as_curves(own(epochs, model), "seed")
        third = len(theirs) // 3
        p_values.append(
            [
                envelope_p(theirs, ours),
                envelope_p(theirs[-third:], ours[:, -third:]),
                rank_p(theirs[-1], ours[:, -1]),
            ]
        )
    adjusted = [holm(list(column)) for column in zip(*p_values, strict=True)]
    headings = [
        "### Tonight's seeds against the notebook",
        "### The published seeds against the notebook: the same every night",
    ]
    first = rows_under(report, report.splitlines()[0])
    for place, model in enumerate(MODELS):
        sample = own(epochs, model)
        final = sample[sample["epoch"] == sample["epoch"].max()]["accuracy"].to_numpy()
        published = notebook[notebook["model"] == model].iloc[-1]["accuracy"]
        as_extreme = round(p_values[place][0] * (len(final) + 1)) - 1
        share = stats.binomtest(as_extreme, len(final)).proportion_ci(method="exact")
        verdict = "differs" if adjusted[0][place] <= 0.05 else "agrees"
        expected = [model, str(len(final))]
        for test in range(3):
            expected += [f"{p_values[place][test]:.4f}", f"{adjusted[test][place]:.4f}"]
        expected += [str(as_extreme), f"{share.low:.4f} to {share.high:.4f}", verdict]
        for heading in headings:
            assert rows_under(report, heading)[place] == expected
        assert first[place][1:8] == [
            verdict,
            f"{p_values[place][0]:.4f}",
            f"{published:.4f}",
            *quantities(final, published),
            str(len(final)),
        ]
    joint = stats.chi2.sf(-2 * sum(np.log(row[0]) for row in p_values), 16)
    assert f"All eight together: p {joint:.4f} (Fisher)" in report


def test_field(report: str, notebook: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """How many of other people's runs each start explains, and where the notebook's stands."""
    field = pd.read_csv(DATA / "field_runs.csv")
    rows = rows_under(report, "### Other people's runs")
    sums = np.zeros(5, dtype=int)
    for cells, model in zip(rows, MODELS, strict=False):
        theirs = as_curves(field[field["model"] == model], "run")
        explained = np.array(
            [
                [envelope_p(run, as_curves(own(epochs, model, start), "seed")) > 0.05
                 for start in ("ones", "uniform")]
                for run in theirs
            ]
        )  # fmt: skip
        counts = [
            len(theirs),
            explained[:, 0].sum(),
            explained[:, 1].sum(),
            explained.all(axis=1).sum(),
            (~explained).all(axis=1).sum(),
        ]
        sums += counts
        mine = as_curves(notebook[notebook["model"] == model], "model")[0]
        finals = theirs[:, -1]
        rank = 1 + (finals < mine[-1]).sum() + (finals == mine[-1]).sum() / 2
        assert cells == [
            model,
            *map(str, counts),
            f"{rank:g} of {len(theirs) + 1}",
            f"{rank_p(mine[-1], finals):.4f}",
            f"{envelope_p(mine, theirs):.4f}",
        ]
    assert rows[-1] == ["all", *map(str, sums), "-", "-", "-"]


def test_backends(report: str) -> None:
    """Milliseconds, tokens a second, ratios with intervals, costs and parity of every square."""
    samples = pd.read_parquet(PUBLISHED / "throughput")
    samples = samples[samples["status"] == "ok"]
    newest = samples.groupby("variant")["started_at"].transform("max")
    samples = samples[samples["started_at"] == newest]
    step = samples["wall_seconds"] / samples["steps"]
    samples = samples.assign(step=step, speed=samples["tokens"] / samples["wall_seconds"])
    heading = re.findall(r"^### On .*$", report, re.MULTILINE)
    assert len(heading) == 1
    rows = rows_under(report, heading[0])
    assert len(rows) == len(samples.groupby(["variant", "backend", "twin"]))
    for cells in rows:
        name = cells[1].removesuffix(" again")
        twin = cells[1].endswith(" again")
        of_variant = samples[samples["variant"] == cells[0]]
        mine = of_variant[(of_variant["backend"] == name) & (of_variant["twin"] == twin)]
        reference = "nn" if cells[0] >= "Model4" else "custom"
        for place, phase in ((7, "train_step"), (8, "forward"), (9, "validation")):
            assert cells[place] == ratio(of_variant, mine, reference, phase)
        timed = mine[mine["phase"] == "train_step"]
        assert cells[5:7] == [
            f"{1000 * timed['step'].median():.2f}",
            f"{timed['speed'].median():,.0f}",
        ]
        assert cells[2] == timed["kernel"].iloc[0]
        assert cells[3:5] == [
            f"{timed[c].iloc[0]:.0e}" for c in ("parity_float64", "parity_float32")
        ]
        compiled = (
            mine.groupby("phase")["compile_seconds"].first().reindex(["train_step", "validation"])
        )
        assert cells[10] == ("-" if compiled.isna().any() else f"{compiled.sum():.1f}")
        assert cells[11] == f"{timed['peak_memory_bytes'].iloc[0] / 2**20:.1f}"


def ratio(of_variant: pd.DataFrame, mine: pd.DataFrame, reference: str, phase: str) -> str:
    """Return the median ratio of a phase and its bootstrap interval as the page writes them."""
    untwinned = of_variant[(of_variant["backend"] == reference) & ~of_variant["twin"]]
    theirs, ours = (
        frame[frame["phase"] == phase].sort_values("round")["step"].to_numpy()
        for frame in (untwinned, mine)
    )
    quotients = theirs / ours
    generator = np.random.default_rng(0)
    interval = stats.bootstrap(
        (quotients,), np.median, n_resamples=2000, method="percentile", rng=generator
    ).confidence_interval
    return f"{np.median(quotients):.2f} ({interval.low:.2f} to {interval.high:.2f})"


def test_attribution(report: str, notebook: pd.DataFrame, epochs: pd.DataFrame) -> None:
    """Depth, backend and luck of the three pairs, in points."""
    last = epochs[(epochs["epoch"] == 9) & (epochs["initialisation"] == "ones")]
    exact = pd.read_parquet(PUBLISHED / "epochs").set_index(["run_id", "epoch"])["accuracy"]
    final = last.assign(
        accuracy=exact.loc[list(zip(last["run_id"], last["epoch"], strict=True))].to_numpy()
    )

    def of(model: str, backend: str) -> np.ndarray:
        rows = final[(final["variant"] == model) & (final["backend"] == backend)]
        return rows["accuracy"].to_numpy()

    published = notebook.groupby("model")["accuracy"].last()
    depth = (
        of("Model5", "nn").mean() - np.concatenate([of("Model6", "nn"), of("Model7", "nn")]).mean()
    )
    rows = rows_under(report, "### Depth, backend or luck?")
    pairs = [("Model5", "Model6"), ("Model5", "Model7"), ("Model6", "Model7")]
    points: Callable[[float], str] = lambda x: f"{round(100 * x, 2) + 0.0:+.2f}"  # noqa: E731
    for cells, (first, second) in zip(rows, pairs, strict=True):
        own_runs = [of(model, OWN[model]) for model in (first, second)]
        by_backend = [on_own_backend(final, model) for model in (first, second)]
        deep = depth if first == "Model5" else 0.0
        luck = published[first] - published[second] - deep - (by_backend[0] - by_backend[1])
        apart = np.subtract.outer(*own_runs) - (own_runs[0].mean() - own_runs[1].mean())
        assert cells == [
            f"{first} - {second}",
            points(published[first] - published[second]),
            points(deep),
            points(by_backend[0] - by_backend[1]),
            points(luck),
            f"{100 * np.hypot(own_runs[0].std(ddof=1), own_runs[1].std(ddof=1)):.2f}",
            f"{(np.abs(apart) >= abs(luck)).mean():.2f}",
        ]


def on_own_backend(final: pd.DataFrame, model: str) -> float:
    """Return the mean difference from nn over the seeds that both have."""
    table = final[final["variant"] == model].pivot_table(
        index="seed", columns="backend", values="accuracy"
    )
    return float((table[OWN[model]] - table["nn"]).mean())
