"""The published report matches its records."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from bench.store.records import ENSEMBLE
from bench.timing.ensemble_timing import as_markdown
from reports.__main__ import main
from reports.runs.reading import read
from tests.places import ROOT

PUBLISHED = ROOT / "reports" / "published" / "cpu"
TWO_AT_ONCE = ("first_of_two", "second_of_two")


@pytest.mark.usefixtures("blank_pictures")
@pytest.mark.parametrize("name", ["cpu", "ensemble"])
def test_report_is_what_its_records_give(tmp_path: Path, name: str) -> None:
    """Rendering the published records again gives the published pages, word for word."""
    folder = PUBLISHED.parent / name
    assert main(["render", "--results", str(folder), "--output", str(tmp_path)]) == 0
    for page in ("report.md", "summary.md"):
        published = (folder / "report" / page).read_text(encoding="utf-8")
        assert (tmp_path / page).read_text(encoding="utf-8") == published
    pictures = {path.name for path in (folder / "report").glob("*.png")}
    assert pictures == {path.name for path in tmp_path.glob("*.png")}


def test_published_records() -> None:
    """All published records are possible, and none is the ensemble's."""
    contents = read(PUBLISHED)
    assert contents.unreadable == {}
    assert len(contents.runs) > 1000
    assert ENSEMBLE not in set(contents.runs["backend"])


def test_findings_show_the_report() -> None:
    """The table of docs/findings.md has the numbers of the published report."""
    number = r"0\.\d{4}"
    pattern = re.compile(
        rf"^\| \[?(Model\d).*?\| ({number}) \| ({number}) \| ({number} to {number}) "
        r"\| ([\d.]+ of \d+) \|",
        re.MULTILINE,
    )
    report = (PUBLISHED / "report" / "report.md").read_text(encoding="utf-8")
    findings = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    assert len(pattern.findall(findings)) == 8
    assert pattern.findall(findings) == pattern.findall(report)


def test_seconds_are_what_was_timed() -> None:
    """The tables beside the ensemble's records are those of the seconds there; the docs' too."""
    folder = PUBLISHED.parent / "ensemble" / "timing"
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert as_markdown(pd.read_csv(folder / "alone.csv")) in page
    costs = (ROOT / "docs" / "engines-and-backends.md").read_text(encoding="utf-8")
    alone, *two = (_core_seconds(folder / f"{n}.csv") for n in ("alone", *TWO_AT_ONCE))
    assert f"| {alone[False]:.1f} and {alone[True]:.1f} core-seconds |" in costs
    notebook, ensemble = (sum(each[joint] for each in two) / 2 for joint in (False, True))
    an_hour = sum(3600 / each[True] for each in two)
    assert f"| {notebook:.1f} and {ensemble:.1f} core-seconds; {an_hour:.0f} seeds" in costs


def _core_seconds(path: Path) -> pd.Series:
    """Return a seed's seconds for all variants, the median over rounds; True for the ensemble."""
    timed = pd.read_csv(path)
    seconds, joint = timed["wall_seconds"] / timed["seeds"], timed["backend"] == ENSEMBLE
    return seconds.groupby([joint, timed["round"]]).sum().groupby("backend").median()


def test_the_ensemble_is_repeated_by_itself() -> None:
    """The command under a report names the ensemble, or the notebook's backends."""
    pages = [
        (PUBLISHED.parent / name / "report" / "report.md").read_text(encoding="utf-8")
        for name in ("cpu", "ensemble")
    ]
    assert [page.count(" --backends ensemble ") for page in pages] == [0, 1]
    assert [page.count(" --backends notebook ") for page in pages] == [2, 0]
