"""The figures of docs/findings.md that no report prints."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hnrnn import published
from hnrnn.variants import VARIANTS
from reports.pages.notebook_section import third_party_part
from reports.runs.curves import curves
from reports.runs.night import Night
from reports.runs.reading import read
from reports.statistics import holm
from reports.verdict.findings import FINDING_LEVEL, read_findings
from reports.verdict.judgement import published_facts
from reports.verdict.notebook import Certificate, hold_against_notebook
from tests.places import ROOT

ENSEMBLE = ROOT / "reports" / "published" / "ensemble"
TEXT = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
WORDS = " ".join(TEXT.split())


@cache
def epochs(name: str) -> pd.DataFrame:
    """Return the epochs of a published set."""
    return Night.of(read(ROOT / "reports" / "published" / name)).selection.epochs


def certificate(epochs: pd.DataFrame) -> Certificate:
    """Hold seeds against the notebook's tables."""
    return hold_against_notebook(epochs, published.tables())


def share(count: int, seeds: int) -> str:
    """Return a share as the page prints it, with its interval."""
    low, high = stats.binomtest(count, seeds).proportion_ci(method="exact")
    return f"{count / seeds:.2%} | {low:.2%} to {high:.2%} |"


def test_the_larger_set_is_not_independent() -> None:
    """Its seeds are those of the smaller set and fresh ones; the fresh ones say the same."""
    small, large = epochs("cpu"), epochs("ensemble")
    values, differences, fresh = 0, [], []
    for variant in VARIANTS:
        ours, theirs = curves(small, variant), curves(large, variant)
        assert set(ours.index) < set(theirs.index)
        fresh.append(large[(large["variant"] == variant) & ~large["seed"].isin(ours.index)])
        if variant != "Model3":
            distance = np.abs(ours - theirs.loc[ours.index]).to_numpy()
            values += distance.size
            differences.append(distance[distance > 8e-4])
    far = np.concatenate(differences)
    assert f"in all but {len(far)} of {values:,} values (at most {far.max():.3f})" in WORDS
    only = certificate(pd.concat(fresh)).agreements
    assert {a.seeds for a in only} == {840, 600}
    p = [a.p.table for a in only if a.variant != "Model2"]
    model2 = only[2]
    assert f"the same seven (p {min(p):.2f} to {max(p):.2f})" in WORDS
    assert f"`Model2` (p {model2.p.table:.4f}, {model2.holm.table:.3f} after Holm" in WORDS
    assert min(a.holm.table for a in only if a.variant != "Model2") > 0.05


def test_how_rare_model2_is() -> None:
    """The shares, their intervals, and what they rest on."""
    runs = published.reference_runs().query("initialisation == 'ones' and variant == 'Model2'")
    theirs = runs[runs["seed"] >= 1000].assign(backend="fastai")
    ours = epochs("ensemble").query("variant == 'Model2'")
    counts = []
    for name, sample in {
        "ours, 0 to 999 | 0 of 1,000": ours,
        "fastai's, 1000 to 1999 | 7 of 1,000": theirs,
        "both, ranked together | 8 of 2,000": pd.concat([ours, theirs]),
    }.items():
        found = certificate(sample).agreements[2]
        assert f" | {found.as_extreme} of {found.seeds:,}" in f" | {name}"
        assert f"| {name} | {share(found.as_extreme, found.seeds)}" in TEXT
        counts.append([found.as_extreme, found.seeds - found.as_extreme])
    p = stats.fisher_exact(counts[:2]).pvalue
    assert f"more than expected by chance (p {p:.3f}, Fisher's exact test)" in WORDS
    fastai = certificate(theirs).agreements[2].p.table
    assert f"(p {fastai:.4f}, {8 * fastai:.3f} after Holm)" in WORDS
    first = certificate(epochs("cpu").query("seed < 160")).agreements[2]
    assert f"first 160 had given p {first.p.table:.4f}, {first.holm.table:.4f} after" in WORDS
    bounds = [stats.beta.ppf(1 - level / 2, 1, 400) for level in (0.05 / 8, 0.05)]
    assert '"at most {:.1%}", instead of {:.2%}'.format(*bounds) in WORDS


def test_what_a_finding_can_contradict() -> None:
    """The fewest seeds that are too many, and how often a share of 5% is noticed."""
    (finding,) = read_findings()
    theirs = [finding.as_extreme, finding.seeds - finding.as_extreme]

    def fails(count: int, seeds: int) -> bool:
        p = stats.fisher_exact([[count, seeds - count], theirs]).pvalue
        return bool(p <= FINDING_LEVEL)

    for seeds in (40, 160, 200, 400, 1000):
        expected = seeds * finding.as_extreme / finding.seeds
        least = next(n for n in range(seeds) if n > expected and fails(n, seeds))
        noticed = stats.binom.sf(least - 1, seeds, 0.05)
        assert f"| {seeds:,} | {expected:.1f} | {least} | {noticed:.0%} |" in TEXT
    none = [(1 - count / seeds) ** 160 for count, seeds in ((7, 1000), (8, 2000))]
    assert none == pytest.approx([1 / 3, 1 / 2], abs=0.03)
    assert "only 0 of 1,062 or more" in WORDS
    assert fails(0, 1062)
    assert not fails(0, 1061)


def test_both_measures() -> None:
    """The p-values by extreme rank length and by area, of both sets."""
    both = [certificate(epochs(name)).agreements for name in ("cpu", "ensemble")]
    for small, large in zip(*both, strict=True):
        values = (small.p.table, small.p.table_by_area, large.p.table, large.p.table_by_area)
        assert f"| {small.variant} | {' | '.join(f'{p:.4f}' for p in values)} |" in TEXT
    for agreements in both:
        for p in ("table", "table_by_area"):
            adjusted = holm([getattr(a.p, p) for a in agreements])
            assert [a.variant for a, q in zip(agreements, adjusted, strict=True) if q <= 0.05] == [
                "Model2"
            ]


def test_third_party_tables() -> None:
    """The table by date and that of our own seeds are those of the reports."""
    _, third_party = published_facts()
    assert third_party is not None
    tables = re.findall(r"(?:^\|.*\|$\n?)+", third_party_part(third_party), re.MULTILINE)
    assert len(tables) == 3
    for table in tables[1:]:
        assert table.strip() in TEXT
    neither = sum(row.published.neither for row in third_party.by_variant)
    assert f"{neither} runs are compatible with neither" in WORDS


def test_the_notebook_started_at_ones() -> None:
    """Seeds that start uniformly reject all of its tables, the others one, before Holm."""
    uniform = Night.of(read(ENSEMBLE)).uniform_epochs
    rejected = [
        [a.variant for a in certificate(sample).agreements if a.p.table <= 0.05]
        for sample in (epochs("cpu"), uniform)
    ]
    assert "the uniform seeds reject all eight of its tables" in WORDS
    assert rejected == [["Model2"], list(VARIANTS)]
    assert set(uniform.groupby("variant")["seed"].nunique()) == {256}


def test_our_own_seeds_are_explained() -> None:
    """Four seeds are mistaken or undecided, beside those that their own start rejects."""
    own = pd.read_csv(ROOT / "reports" / "published" / "third_party" / "own_seeds.csv")
    counts = own[["ones", "uniform", "undecided"]]
    right = own["ones"].where(own["start"] == "ones", own["uniform"])
    seeds = counts.to_numpy().sum() + own["neither"].sum()
    assert f"{counts.to_numpy().sum() - right.sum()} of {seeds:,} seeds are mistaken" in WORDS
