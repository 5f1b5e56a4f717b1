"""The first screen, and every model's section: sentences and both tables."""

from __future__ import annotations

import numpy as np

from tests.published.page import MEASURES, MODELS, OWN, Page, Records
from tests.published.ranks import certificate, rank


def check(page: Page, records: Records) -> None:
    """Claim the opening, the table of models, and the eight sections."""
    agreements = certificate(records)
    outside, expected, rows = 0, [], []
    for model, (seeds, p, holm) in zip(MODELS, agreements, strict=True):
        epochs, table = records.own(model), records.table(model)
        values, places = [], []
        for epoch, row in table.iterrows():
            ours = epochs[epochs["epoch"] == epoch]
            left, right = [str(epoch)], [str(epoch)]
            for measure in MEASURES:
                sample, value = ours[measure].to_numpy(), row[measure]
                low, middle, high = np.percentile(sample, [2.5, 50, 97.5])
                outside += not low <= value <= high
                expected.append(2 * (1 + 0.025 * (len(sample) - 1)) / (len(sample) + 1))
                left += [f"{value:.6f}", f"{middle:.4f}"]
                right += [f"{low:.4f} to {high:.4f}", rank(value, sample)]
            seconds = (ours["train_seconds"] + ours["valid_seconds"]).median()
            values.append([*left, str(row["seconds"]), f"{seconds:.2f}"])
            places.append(right)
        page.claim_table(f"## {model}", values)
        page.claim_table(f"## {model}", places, place=1)
        notebook, final = table["accuracy"].iloc[-1], ours["accuracy"].to_numpy()
        accepted = "differs, accepted" if holm[0] <= 0.05 else "agrees"
        description = page.text.split(f"\n## {model}\n\n")[1].split(": ")[1].split(". ")[0]
        rows.append(
            [
                f"[{model}](#{model.lower()})",
                accepted,
                "same to rounding",
                *(f"{value:.4f}" for value in (p[0], notebook, middle)),
                f"{low:.4f} to {high:.4f}",
                rank(notebook, final),
                str(seeds),
                OWN[model],
                f"{seeds} seeds tonight",
                description,
            ]
        )
        page.claim(
            f"The notebook's final accuracy, {notebook:.4f}, is at rank {rank(notebook, final)} "
            f"among our {seeds} seeds, whose median is {middle:.4f}. Of our {seeds} seeds, "
            f"{round(p[0] * (seeds + 1)) - 1} have a whole table that is at least as extreme "
            f"(p {p[0]:.4f}, {holm[0]:.4f} after Holm): {accepted}."
        )
        _claim_recipe(page, records, model)
        _claim_others(page, records, model, notebook)
        _claim_time(page, records, model)
    page.claim_table("# The human-numbers notebook, reproduced", rows)
    counts = [seeds for seeds, _, _ in agreements]
    page.claim(
        f"{sum(counts):,} runs of all eight models, {min(counts)} to {max(counts)} seeds "
        "each. Each model's seeds were trained on the notebook's own backend. Of the "
        f"{3 * len(records.notebook)} published values that have a counterpart here, {outside} "
        f"({round(100 * outside / 3 / len(records.notebook))}%) lie outside the central 95% of our "
        "seeds. If the notebook's run were one more seed, about "
        f"{100 * np.mean(expected):.0f}% would;"
    )
    ones = records.runs["initialisation"] == "ones"
    sources = {*records.runs[~ones]["source_sha256"]} - {*records.runs[ones]["source_sha256"]}
    settings = ["initialisation uniform", *(f"source_sha256 {each[:12]}" for each in sources)]
    page.claim(
        f"- Left out: {(~ones).sum()} runs with other settings: {', '.join(sorted(settings))}."
    )
    known = [
        f"{model}'s differs ({round(p[0] * (seeds + 1)) - 1} of {seeds} seeds are as extreme, "
        f"p {p[0]:.4f}, {holm[0]:.4f} after Holm), which is an accepted finding."
        for model, (seeds, p, holm) in zip(MODELS, agreements, strict=True)
        if holm[0] <= 0.05
    ]
    page.claim(
        f"In {8 - len(known)} of 8 tables the notebook's run cannot be told apart from our seeds; "
        f"{'; '.join(known)}"
    )
    uniform = records.runs[records.runs["initialisation"] == "uniform"]
    page.claim(f"{uniform.groupby('variant').size().min()} seeds or more per model")


def _claim_recipe(page: Page, records: Records, model: str) -> None:
    recipe = records.runs[records.runs["variant"] == model].iloc[0]
    page.claim(
        f"bptt {recipe['bptt']}, {recipe['recipe_epochs']} epochs, learning rate "
        f"{recipe['learning_rate']:g}, pct_start {recipe['pct_start']:g}; the token after"
    )


def _claim_others(page: Page, records: Records, model: str, notebook: float) -> None:
    theirs = records.third_party[records.third_party["model"] == model]
    finals = theirs.sort_values("epoch").groupby("run")["accuracy"].last()
    page.claim(
        f"Of {len(finals)} third-party runs, {(finals > notebook).sum()} ended higher and "
        f"{(finals < notebook).sum()} lower."
    )


def _claim_time(page: Page, records: Records, model: str) -> None:
    epochs = records.own(model)
    seconds = (epochs["train_seconds"] + epochs["valid_seconds"]).groupby(epochs["epoch"]).median()
    notebook = records.table(model)["seconds"].median()
    page.claim(
        f"The notebook's machine took {notebook / seconds.median():.1f} times as long"
        if notebook
        else f"prints 0 seconds for most epochs; here one takes {seconds.median():.2f}."
    )
