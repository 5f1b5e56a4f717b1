"""The study of change points says what the documentation says, and what was chosen by it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.places import ROOT

STUDY = pd.read_csv(ROOT / "reports/published/calibration/change_points.csv")
CHANGES = STUDY[STUDY["change"] != "none"]
FIRST = CHANGES.drop_duplicates(["noise", "change", "detector"])
SHOWN = {
    "seeds": [
        "CUSUM, baseline of 100 seeds", "CUSUM, baseline of 100 seeds and earlier nights",
        "both CUSUMs, baseline of 100 seeds", "largest rank sum of a split", "Otava",
    ],
    "throughput": [
        "CUSUM, first 30 nights", "CUSUM of sequential ranks",
        "CUSUM of sequential ranks, for day effects", "largest rank sum of a split", "Otava",
    ],
}  # fmt: skip
"""The columns of the tables of docs/statistics.md; the third is that of ``reports.history``."""


def cell(row: pd.Series) -> str:
    """Return how soon a change is found, as the documentation says it."""
    if row["nights_median"] > 200:
        return f"{row['found']:.0%} found"
    share = "" if row["found"] >= 0.995 else f", {row['found']:.0%}"
    return f"{row['nights_median']:.0f} nights{share}"


@pytest.mark.parametrize("noise", SHOWN)
def test_documented(noise: str) -> None:
    """Every row of the tables is that of the study."""
    page = (ROOT / "docs/statistics.md").read_text(encoding="utf-8")
    of = FIRST[FIRST["noise"] == noise].set_index(["change", "detector"])
    for change in FIRST["change"].unique():
        cells = [cell(of.loc[(change, detector)]) for detector in SHOWN[noise]]
        assert f"| {change} | {' | '.join(cells)} |\n" in page
    null = STUDY[(STUDY["noise"] == noise) & (STUDY["change"] == "none")].set_index("detector")
    shares = [
        f"{row['alarms'] / row['histories']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        for row in (null.loc[detector] for detector in SHOWN[noise])
    ]
    assert f"| none: histories with an alarm | {' | '.join(shares)} |\n" in page


@pytest.mark.parametrize("noise", SHOWN)
def test_what_was_chosen(noise: str) -> None:
    """The charts are later than Otava by a night at most, and alarm no more often than stated."""
    found = FIRST[FIRST["noise"] == noise].pivot_table(
        index="change", columns="detector", values="nights_median"
    )
    chosen = SHOWN[noise][2]
    assert (found[chosen] <= found["Otava"] + 1).all()
    theory = STUDY[STUDY["detector"] == f"{chosen}, theory's threshold"].iloc[0]
    assert theory["alarms"] / theory["histories"] <= 1 - np.exp(-300 / (1095 * 16))


@pytest.mark.parametrize("noise", SHOWN)
def test_how_it_is_dated(noise: str) -> None:
    """Of the ways to date an alarm, the mean's split is as near as E-Divisive, or within 5%."""
    own = CHANGES[(CHANGES["noise"] == noise) & (CHANGES["detector"] == SHOWN[noise][2])]
    steps = own[own["change"].str.startswith("step")]
    near = steps.pivot_table(index="change", columns="dated_by", values="within_3_nights")
    assert (near["mean split"] >= near["E-Divisive"] - 0.05).all()
    assert (near["mean split"] > near["the chart's last zero"]).all()
