"""Accepted findings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnrnn import published
from reports.verdict.findings import (
    LARGEST_FILE_BYTES,
    Finding,
    FindingsError,
    changed,
    read_findings,
    unexpected,
)
from reports.verdict.judgement import published_facts
from reports.verdict.notebook import hold_against_notebook
from tests.made_up import made_up_epochs

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
    """The project's file can be read, and the published certificate is as it says."""
    findings = read_findings()
    assert [finding.variant for finding in findings] == ["Model2"]
    certificate, _ = published_facts()
    assert certificate is not None
    assert unexpected(findings, certificate) == []
