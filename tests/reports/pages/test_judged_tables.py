"""What is said of the training tables in files."""

from __future__ import annotations

import pandas as pd

from reports.api import judge, published_table
from reports.documents.recognition import Recognition
from reports.pages.judged_tables import KINDS, Examined, as_lines, as_markdown, picture, summary


def examined(rows: int, variant: str | None, *candidates: str, reason: str = "so") -> Examined:
    """Return the first rows of the notebook's table as found; judged if there is a variant."""
    table = published_table(variant or "Model0").head(rows)
    recognition = Recognition(variant, candidates, reason)
    return Examined(
        "a.csv, table 1", recognition, table, judge(table, variant) if variant else None
    )


TABLES = [
    examined(20, "Model4", "Model4"),
    examined(5, "Model5", "Model5"),
    examined(6, None, "Model0", "Model1"),
    examined(6, None, reason="12 epochs"),
    examined(10, "Model2", "Model2"),
]


def test_kinds() -> None:
    """A table is judged in whole or in part, ambiguous, or of another recipe."""
    assert [table.kind for table in TABLES] == ["ones", "partial", "ambiguous", "other", "neither"]


def test_summary() -> None:
    """Every table is counted once, and a kind without tables is not named."""
    lines = summary(TABLES, 2)
    assert lines[0] == "5 tables in 2 files:"
    assert [line.strip() for line in lines[1:]] == [
        f"1 {KINDS[kind]}" for kind in ("ones", "neither", "partial", "ambiguous", "other")
    ]
    assert sum(int(line.split()[0]) for line in lines[1:]) == 5


def test_lines() -> None:
    """A judged table has its reason and its p-values, another one the reason why not."""
    (
        judged,
        *_,
    ) = map(as_lines, TABLES)
    assert judged[:3] == [
        "a.csv, table 1",
        "  so",
        "  Model4, 20 epochs: like runs whose BatchNorm weights start at 1 (PyTorch 1.2 or later)",
    ]
    assert "  among 1,000 seeds with BatchNorm weights at 1: p 0.1359" in judged
    assert as_lines(TABLES[3]) == ["a.csv, table 1", "  Not judged. 12 epochs"]


def test_page() -> None:
    """Every table is on the page, the judged ones with a figure, and names are no markup."""
    bad = examined(6, None, reason="<script>x</script> | [a](b)")
    text = as_markdown([*TABLES, bad], 2, ["worse.html cannot be read"])
    for place, table in enumerate(TABLES):
        assert (f"({picture(place)})" in text) == (table.judgement is not None)
    assert "Not read: worse.html cannot be read" in text
    assert "<script>" not in text
    assert "[a](b)" not in text
    rows = [line for line in text.splitlines() if line.startswith("| a.csv")]
    assert [row.split(" | ")[3] for row in rows] == ["0.1359", "-", "-", "-", "0.0010", "-"]
    assert {row.count("|") for row in rows} == {7}


def test_control_characters_are_shown_escaped() -> None:
    """Neither a file's name nor a reason can command a terminal or a CI system."""
    table = examined(6, "Model0", "Model0", reason="\x1b[31mred\n::error::x")
    hostile = Examined("\x1b[2J::a\nb", table.recognition, pd.DataFrame(), table.judgement)
    assert all(line.isprintable() for line in as_lines(hostile))
    assert len(as_lines(hostile)) == len(as_lines(table))
