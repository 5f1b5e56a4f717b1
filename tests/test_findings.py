"""Accepted findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnrnn import published
from reports.certificate import hold_against_notebook
from reports.findings import Finding, FindingsError, changed, read_findings, unexpected
from reports.judgement import published_facts
from tests.judged_data import made_up_epochs

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


def test_an_unknown_variant(tmp_path: Path) -> None:
    """A finding on a model that is not there is refused."""
    path = tmp_path / "findings.toml"
    path.write_text(
        '[[finding]]\nvariant = "Model9"\nas_extreme = 6\nseeds = 999\nreason = "rare"\n',
        encoding="utf-8",
    )
    with pytest.raises(FindingsError, match="no variant Model9"):
        read_findings(path)


def test_the_projects_own() -> None:
    """The project's file can be read, and the published certificate is as it says."""
    findings = read_findings()
    assert [finding.variant for finding in findings] == ["Model2"]
    certificate, _ = published_facts()
    assert certificate is not None
    assert unexpected(findings, certificate) == []
