"""Accepted findings."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from scipy.stats import fisher_exact

from bench.store.store import Contents
from hnrnn import published
from reports.verdict.evidence import Evidence
from reports.verdict.findings import (
    LARGEST_FILE_BYTES,
    Finding,
    FindingsError,
    changed,
    contradiction_p_value,
    read_findings,
    unexpected,
)
from reports.verdict.judgement import judge, published_facts
from reports.verdict.notebook import hold_against_notebook
from tests.computed_nights import computed_night
from tests.made_up import made_up_epochs
from tests.made_up import notebook_night as made_up_night

FAR = hold_against_notebook(made_up_epochs(170, moved={"Model2": 1.0}), published.tables())
MODEL2 = FAR.agreements[2]


def test_a_difference_needs_a_finding() -> None:
    """Without a finding a variant that differs is unexpected; with one that fits it is not."""
    assert [a.variant for a in unexpected([], FAR)] == ["Model2"]
    assert unexpected([Finding("Model2", 1, 1000, "rare")], FAR) == []
    assert [a.variant for a in unexpected([Finding("Model3", 1, 1000, "rare")], FAR)] != []


def test_a_change_is_unexpected_both_ways() -> None:
    """None of 170 seeds is far from the 300 of 1000 that were accepted, and the other way round."""
    assert changed([Finding("Model2", 300, 1000, "common")], MODEL2)
    usual = hold_against_notebook(made_up_epochs(170), published.tables()).agreements[2]
    assert usual.as_extreme > 20
    assert changed([Finding("Model2", 1, 1000, "rare")], usual)
    assert not changed([Finding("Model2", usual.as_extreme * 6, 1020, "usual")], usual)


@pytest.mark.parametrize(
    ("as_extreme", "seeds", "contradicts"),
    [
        (0, 40, False),
        (2, 40, False),
        (3, 40, True),
        (0, 160, False),
        (5, 160, False),
        (6, 160, True),
        (6, 200, False),
        (7, 200, True),
        (9, 200, True),
        (0, 1000, False),
        (22, 1000, False),
        (23, 1000, True),
        (0, 1060, False),
        (0, 1080, True),
    ],
)
def test_a_finding_has_two_sides(as_extreme: int, seeds: int, *, contradicts: bool) -> None:
    """Too many seeds as extreme contradict 7 of 1000 soon; too few only where many are expected."""
    (finding,) = read_findings()
    tonight = replace(MODEL2, as_extreme=as_extreme, seeds=seeds)
    assert changed([finding], tonight) == contradicts
    p = fisher_exact([[as_extreme, seeds - as_extreme], [7, 993]]).pvalue
    assert contradiction_p_value(finding, tonight) == pytest.approx(p)
    assert (p <= 0.05 / 8) == contradicts


def test_no_runs_are_no_change() -> None:
    """A variant without runs tonight says nothing of its finding."""
    nothing = hold_against_notebook(made_up_epochs(1).iloc[:0], published.tables())
    assert unexpected([Finding("Model2", 1, 1000, "rare")], nothing) == []


def test_read(tmp_path: Path) -> None:
    """A file of findings gives each with its p-value."""
    path = tmp_path / "findings.toml"
    path.write_text(
        '[[finding]]\nvariant = "Model2"\nas_extreme = 6\nseeds = 999\nreason = "rare"\n',
        encoding="utf-8",
    )
    (finding,) = read_findings(path)
    assert finding == Finding("Model2", 6, 999, "rare")
    assert finding.p_value == pytest.approx(0.007)
    path.write_text("", encoding="utf-8")
    assert read_findings(path) == []


@pytest.mark.parametrize(
    "text",
    ["[[finding", '[[finding]]\nvariant = "Model2"', "finding = 3", "[[finding]]\nmodel = 1"],
)
def test_a_bad_file(text: str, tmp_path: Path) -> None:
    """What cannot be understood is one line that says what is needed."""
    path = tmp_path / "findings.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FindingsError, match=r"it needs a \[\[finding\]\] with variant"):
        read_findings(path)
    with pytest.raises(FindingsError, match="cannot read findings"):
        read_findings(tmp_path / "nowhere.toml")


ONE = '[[finding]]\nvariant = "Model2"\nas_extreme = 1\nseeds = 3\nreason = "rare"\n'
CASES = {
    "twice": (ONE * 2, "more than one finding on Model2: keep one each"),
    "20,000 entries": (ONE * 20_000, "more than one finding on Model2"),
    "true for a number": (ONE.replace("= 1", "= true"), "must be whole numbers"),
    "true for seeds": (ONE.replace("= 3", "= true"), "must be whole numbers"),
    "400 digits": (ONE.replace("= 3", f"= {'9' * 400}"), "seeds must be at most 4294967296"),
    "5000 digits": (ONE.replace("= 3", f"= {'9' * 5000}"), "cannot read findings"),
    "infinity": (ONE.replace("= 3", "= inf"), "must be whole numbers"),
    "huge": (ONE + "#" * LARGEST_FILE_BYTES, "it is larger than 4 MiB, the most that is read"),
    "nested": (f"finding = {'[' * 20_000}{']' * 20_000}", "cannot read findings"),
    "a long reason": (ONE.replace("rare", "x" * 300_000), "at most 200000 characters"),
    "no text": ("finding = '\ud800'", "cannot read findings"),
    "many unknown": (
        "".join(ONE.replace("Model2", f"Model{n}") for n in range(9, 5000)),
        "unknown variant Model9, Model10, Model11, Model12, Model13: use one of",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_finding(case: str, tmp_path: Path) -> None:
    """Findings that cannot be are refused in one line, which is short."""
    text, words = CASES[case]
    path = tmp_path / "findings.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(FindingsError, match=words) as error:
        read_findings(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices")
def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe, which would be waited for, and a device without an end are refused."""
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path / "pipe", "pipe"), (Path("/dev/zero"), "device")):
        with pytest.raises(FindingsError, match=f"it is a {kind}, not a regular file"):
            read_findings(path)


def test_an_unknown_variant(tmp_path: Path) -> None:
    """A finding on a model that is not there is refused."""
    path = tmp_path / "findings.toml"
    path.write_text(
        '[[finding]]\nvariant = "Model9"\nas_extreme = 6\nseeds = 999\nreason = "rare"\n',
        encoding="utf-8",
    )
    with pytest.raises(FindingsError, match="unknown variant Model9"):
        read_findings(path)


def test_the_projects_own() -> None:
    """The project's finding is what fastai's own runs give, and our seeds do not contradict it."""
    (finding,) = read_findings()
    runs = published.reference_runs().query("initialisation == 'ones' and variant == 'Model2'")
    tables = published.tables()
    other_seeds = runs[runs["seed"] >= 1000]
    by_fastai = hold_against_notebook(other_seeds.assign(backend="fastai"), tables).agreements[2]
    assert (finding.variant, finding.as_extreme, finding.seeds) == ("Model2", 7, 1000)
    assert (by_fastai.as_extreme, by_fastai.seeds) == (7, 1000)
    assert finding.p_value == by_fastai.p.table
    all_seeds = hold_against_notebook(runs.assign(backend="fastai"), tables).agreements[2]
    assert (all_seeds.as_extreme, all_seeds.seeds) == (8, 1060)
    last, theirs = (
        other_seeds[other_seeds["epoch"] == 9],
        tables.query("model == 'Model2'").iloc[-1],
    )
    assert (last["accuracy"].round(6) >= theirs["accuracy"]).sum() == 6
    assert (last["valid_loss"].round(6) <= theirs["valid_loss"]).sum() == 1
    certificate, _ = published_facts()
    assert certificate is not None
    assert unexpected([finding], certificate) == []


def with_model2_broken(contents: Contents, uniform: Contents, *, same_start: bool) -> Contents:
    """Return the night with Model2's runs replaced by those of a uniform start, called ``ones``.

    ``same_start`` gives them the initial weights' hash of the healthy ones too.
    """
    parts = []
    for name in ("runs", "epochs"):
        own, broken = getattr(contents, name), getattr(uniform, name)
        broken = broken[broken["variant"] == "Model2"]
        if name == "runs":
            broken = broken.assign(initialisation="ones")
            if same_start:
                weights = own[own["variant"] == "Model2"].set_index("seed")[
                    "initial_weights_sha256"
                ]
                broken = broken.assign(initial_weights_sha256=broken["seed"].map(weights))
        parts.append(pd.concat([own[own["variant"] != "Model2"], broken], ignore_index=True))
    return replace(contents, runs=parts[0], epochs=parts[1])


@pytest.mark.parametrize("same_start", [False, True])
def test_a_finding_excuses_no_other_computation(*, same_start: bool) -> None:
    """Model2 with BatchNorm weights from U(0, 1) fails by its runs, which no rate could show."""
    night = with_model2_broken(
        computed_night(15), computed_night(15, initialisation="uniform"), same_start=same_start
    )
    judgement = judge(Evidence.of(night, findings=tuple(read_findings())))
    model2 = judgement.notebook.agreements[2]
    assert (model2.as_extreme, model2.seeds) == (0, 15)
    assert not changed(judgement.findings, model2)
    assert (judgement.verdict, judgement.exit_code) == ("differs", 1)
    assert judgement.reasons[0].startswith("Model2 custom")


def test_a_finding_excuses_nothing_from_the_baseline() -> None:
    """Model2 may be suspected, and found worse, as any other model may."""
    worse, findings = {"Model2": 0.3}, tuple(read_findings())
    night, before = made_up_night(20, start=100, moved=worse), made_up_night(20)
    fresh = made_up_night(20, start=300, moved=worse)
    suspected = judge(Evidence.of(night, before, findings=findings))
    assert suspected.exit_code != 0
    assert suspected.reasons[0].startswith("Model2 custom")
    confirmed = judge(Evidence.of(night, before, fresh, findings=findings))
    assert confirmed.exit_code == 1
    assert confirmed.reasons[0].startswith("Model2 custom")
