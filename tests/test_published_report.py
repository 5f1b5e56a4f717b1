"""The report that is published for people to look at."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.records import LEARNER
from bench.store import Store
from reports.__main__ import main

ROOT = Path(__file__).parent.parent
PUBLISHED = ROOT / "reports" / "published" / "cpu"


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


def test_records_of_an_older_version_are_read() -> None:
    """The published records, written before runs named their engine, are the learner's."""
    runs = pq.ParquetFile(PUBLISHED / "runs" / "runs.parquet").schema_arrow
    assert runs.metadata[b"schema_version"] == b"2"
    assert "engine" not in runs.names
    contents = Store(PUBLISHED).read()
    assert contents.unreadable == {}
    assert len(contents.runs) > 1000
    assert set(contents.runs["engine"]) == {LEARNER}


def test_readme_shows_the_report() -> None:
    """The README's table has the numbers of the published report."""
    number = r"0\.\d{4}"
    pattern = re.compile(
        rf"^\| \[?(Model\d).*?\| ({number}) \| ({number}) \| ({number} to {number}) "
        r"\| ([\d.]+ of \d+) \|",
        re.MULTILINE,
    )
    report = (PUBLISHED / "report" / "report.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(pattern.findall(readme)) == 8
    assert pattern.findall(readme) == pattern.findall(report)


def test_the_ensemble_is_repeated_by_itself() -> None:
    """The command under a report of an ensemble names its engine, and the other report's none."""
    pages = [
        (PUBLISHED.parent / name / "report" / "report.md").read_text(encoding="utf-8")
        for name in ("cpu", "ensemble")
    ]
    assert [page.count(" --engine ensemble\n") for page in pages] == [0, 2]
