"""What the verdict rests on: certificates, findings, other people's runs, and its own errors."""

from __future__ import annotations

import math
import tomllib

import numpy as np
import pandas as pd
from scipy import stats

from tests.published.page import MODELS, OWN, PUBLISHED, ROOT, Page, Records
from tests.published.ranks import as_curves, certificate, envelope_p, rank, rank_p

STARTS = ("ones", "uniform")


def check(page: Page, records: Records) -> None:
    """Claim everything in the section."""
    _claim_gates(page, records)
    _claim_certificates(page, records)
    _claim_findings(page)
    _claim_third_party(page, records)
    _claim_calibration(page)


def _claim_gates(page: Page, records: Records) -> None:
    """Claim what the gates count: runs of the full recipe that start as most do."""
    runs = records.runs[records.runs["initialisation"] == "ones"]
    whole = runs[(runs["epochs"] == runs["recipe_epochs"]) & (runs["status"] == "ok")]
    configurations = len(whole.drop_duplicates(["variant", "backend"]))
    page.claim(
        f"| complete data | passed | {len(whole)} runs in {configurations} configurations |\n"
    )


def _claim_certificates(page: Page, records: Records) -> None:
    """Claim both: the night that is shown is the published seeds."""
    agreements = certificate(records)
    rows, refuted = [], []
    for model, (seeds, p, holm) in zip(MODELS, agreements, strict=True):
        as_extreme = round(p[0] * (seeds + 1)) - 1
        share = stats.binomtest(as_extreme, seeds).proportion_ci(method="exact")
        verdict = "differs" if holm[0] <= 0.05 else "agrees"
        refuted += [model] * (verdict == "differs")
        tests = [f"{value:.4f}" for pair in zip(p, holm, strict=True) for value in pair]
        accepted = verdict.replace("differs", "differs, accepted")
        rows.append([model, accepted, *tests[:2], str(as_extreme),
                     f"{share.low:.4f} to {share.high:.4f}", *tests[2:], str(seeds),
                     OWN[model]])  # fmt: skip
    page.claim_table("### Tonight's seeds against the notebook", rows)
    page.claim_table("### The published seeds against the notebook: the same every night", rows)
    model, (seeds, p, holm) = min(
        zip(MODELS, agreements, strict=True), key=lambda found: found[1][1][0]
    )
    p_values = [p[0] for _, p, _ in agreements]
    rest = [p for model, p in zip(MODELS, p_values, strict=True) if model not in refuted]
    joint, without = (
        stats.chi2.sf(-2 * sum(map(math.log, each)), 2 * len(each)) for each in (p_values, rest)
    )
    # The least p of N seeds is 1/(N + 1), and Holm multiplies it by eight.
    needed = next(count for count in range(1, 1000) if 8 / (count + 1) <= 0.05)
    page.claim(
        f"Tables that differ at the 5% level: {', '.join(refuted)}. The rarest is that of {model}: "
        f"{round(p[0] * (seeds + 1)) - 1} of our {seeds} seeds are as extreme (p {p[0]:.4f}, "
        f"{holm[0]:.4f} after Holm). ",
        f"Fisher's joint p-value of 8 tables is {joint:.4f}, and {without:.4f} without "
        f"{', '.join(refuted)}.",
        f"It takes {needed} seeds per model",
    )


def _claim_findings(page: Page) -> None:
    """Claim what stands in the file, and what follows from it."""
    with (ROOT / "reports" / "findings.toml").open("rb") as file:
        findings = tomllib.load(file)["finding"]
    for finding in findings:
        extreme, seeds = finding["as_extreme"], finding["seeds"]
        share = stats.binomtest(extreme, seeds).proportion_ci(method="exact")
        page.claim(
            f"- {finding['variant']}: {extreme} of {seeds} seeds as extreme "
            f"(p {(extreme + 1) / (seeds + 1):.4f}; the share is between {share.low:.4f} and "
            f"{share.high:.4f}). {finding['reason']}"
        )


def _claim_third_party(page: Page, records: Records) -> None:
    """Claim which start explains other people's runs, by model and by date, and our own seeds."""
    rows, eras = [], np.zeros((2, 4), dtype=int)
    for model in MODELS:
        published = records.third_party[records.third_party["model"] == model]
        theirs = as_curves(published, "run")
        samples = [as_curves(records.of_all_sets(model, start), "seed") for start in STARTS]
        ones, uniform = np.array(
            [[envelope_p(run, sample) > 0.05 for sample in samples] for run in theirs]
        ).T
        found = np.array([ones & ~uniform, uniform & ~ones, ones & uniform, ~ones & ~uniform])
        # PyTorch 1.2 is of 8 August 2019.
        late = published.groupby("run")["committed"].first().to_numpy() >= "2019-08-08"
        eras += [found[:, ~late].sum(axis=1), found[:, late].sum(axis=1)]
        mine = as_curves(records.table(model).reset_index(), "model")[0]
        finals = theirs[:, -1]
        p_values = rank_p(mine[-1], finals), envelope_p(mine, theirs)
        counts = map(str, [len(theirs), *found.sum(axis=1)])
        rows.append([model, *counts, rank(mine[-1], finals), *(f"{p:.4f}" for p in p_values)])
    total = eras.sum(axis=0)
    rows.append(["all", *map(str, [total.sum(), *total]), "-", "-", "-"])
    page.claim_table("### Third-party runs", rows)
    dates = ["before PyTorch 1.2 (2019-08-08)", "since then"]
    page.claim_table(
        "### Third-party runs",
        [[d, *map(str, [e.sum(), *e])] for d, e in zip(dates, eras, strict=True)],
        place=1,
    )
    own = pd.read_csv(PUBLISHED / "third_party" / "own_seeds.csv").itertuples(index=False)
    page.claim_table(
        "### Third-party runs",
        [[m, s, f"{sum(n)}", *(f"{count / sum(n):.0%}" for count in n)] for m, s, *n in own],
        place=2,
    )


def _rate(count: int, total: int) -> str:
    share = stats.binomtest(count, total).proportion_ci(method="exact")
    low, high = (f"{100 * value:.1f}%" for value in share)
    return f"{count} of {total} ({100 * count / total:.1f}%; {low} to {high})"


def _claim_calibration(page: Page) -> None:
    """Claim how often nights without a change were suspected, and what was found."""
    nulls = pd.read_csv(PUBLISHED / "calibration" / "null_nights.csv")
    gates = sorted(nulls.loc[nulls["first"] > 0, "gate"].unique())
    rows = []
    for kind, nights in nulls.groupby("kind"):
        for gate in ("all gates", *gates):
            own = nights if gate == "all gates" else nights[nights["gate"] == gate]
            counts = (own["first"] > 0, own["last"] > 0, own["last"] == 1)
            rows.append([kind, gate, *(_rate(count.sum(), len(nights)) for count in counts)])
    trusted = "### How far this verdict can be trusted"
    page.claim_table(trusted, rows)
    detection = pd.read_csv(PUBLISHED / "rounding" / "detection.csv")
    detection = detection[detection["epochs"] == 2]
    rows = []
    for fault in sorted(detection["kind"].unique()):
        own = detection[detection["kind"] == fault]
        sums = [own[own["seeds"] == n] for n in sorted(detection["seeds"].unique())]
        rows.append(
            [
                fault,
                *(f"{n['found'].sum()} of {n['nights'].sum()}" if len(n) else "-" for n in sums),
            ]
        )
    page.claim_table(trusted, rows, place=1)
    shifted = pd.read_csv(PUBLISHED / "calibration" / "shifted_nights.csv")
    rows = [
        [f"{shift:g}", _rate(suspected, nights), f"{seeds}, {baseline}"]
        for shift, seeds, baseline, nights, suspected in shifted.itertuples(index=False)
    ]
    page.claim_table(trusted, rows, place=2)
    _claim_slowdowns(page, trusted)


def _claim_slowdowns(page: Page, trusted: str) -> None:
    """Claim how often a slow-down was found, and how often none was there."""
    slowed = pd.read_csv(PUBLISHED / "calibration" / "slowed_nights.csv")
    (alarms,) = slowed[slowed["place"] == "nowhere"].itertuples(index=False)
    page.claim(f"on a machine with other work: {_rate(alarms.found, alarms.nights)} failed.")
    rows = [
        [place, *(_rate(row.found, row.nights) for row in own.itertuples(index=False))]
        for place, own in slowed[slowed["place"] != "nowhere"].groupby("place", sort=False)
    ]
    shares = sorted(slowed.loc[slowed["slowdown"] > 0, "slowdown"].unique())
    page.claim(f"| slower | {' | '.join(f'by {share:.0%}' for share in shares)} |")
    page.claim_table(trusted, rows, place=3)
