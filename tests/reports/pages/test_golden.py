"""The verdict's files, whole, for one made-up night per outcome.

``pytest --rewrite-golden`` writes them anew into ``golden/``: read what has changed there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from bench.store.records import FAILED
from reports.pages.machine import as_json, as_junit
from reports.pages.verdict_section import as_markdown
from reports.verdict import judgement
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding
from tests.computed_nights import computed_night, departing
from tests.made_up import notebook_night as night
from tests.made_up import throughput_rows

GOLDEN = Path(__file__).parent / "golden"
WORSE = {"Model5": 0.3}
FINDING = Finding("Model2", 0, 1000, "A rare run of the notebook.")
ERROR = "<script>alert(1)</script> | \x00\x1b"


def timed(custom: float) -> pd.DataFrame:
    """Return a measurement in which a step on ``custom`` takes so many milliseconds."""
    return throughput_rows({"nn": 2.0, "custom": custom})


def incomplete() -> Evidence:
    """Return a night with a failed run whose error is hostile, and a missing configuration."""
    contents = night(3)
    runs = contents.runs[contents.runs["variant"] != "Model6"].copy()
    runs.loc[runs.index[0], ["status", "error"]] = [FAILED, ERROR]
    return Evidence.of(replace(contents, runs=runs))


def suspected() -> Evidence:
    """Return a night in which one model is worse than in the baseline."""
    return Evidence.of(night(20, start=100, moved=WORSE), night(20))


def regressed() -> Evidence:
    """Return such a night with fresh seeds that confirm it, and with a backend that is slower."""
    return Evidence.of(
        night(20, start=100, moved=WORSE, samples=timed(6.0)),
        night(20, samples=timed(3.0)),
        night(20, start=300, moved=WORSE),
    )


NIGHTS: dict[str, Callable[[], Evidence]] = {
    "agrees": lambda: Evidence.of(computed_night(2), findings=(FINDING,)),
    "differs": lambda: Evidence.of(departing(computed_night(1), "Model5", 0.2)),
    "incomplete": incomplete,
    "suspected": suspected,
    "regressed": regressed,
}


@pytest.mark.parametrize("outcome", NIGHTS)
def test_files_are_golden(
    outcome: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Each is what it was, word for word; JSON to six digits."""
    certificate, _ = judgement.published_facts()
    # Published tables stand in the published reports, which have a test of their own.
    shown = certificate if outcome == "agrees" else None
    monkeypatch.setattr(judgement, "published_facts", lambda: (shown, None))
    monkeypatch.setattr(judgement, "published_calibration", lambda: None)
    judged = judgement.judge(NIGHTS[outcome]())
    numbers = json.loads(as_json(judged), parse_float=lambda text: float(f"{float(text):.6g}"))
    files = {
        "verdict.json": json.dumps(numbers, indent=2, sort_keys=True) + "\n",
        "verdict.xml": as_junit(judged),
        "verdict.md": as_markdown(judged),
    }
    for name, content in files.items():
        path = GOLDEN / outcome / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        assert content == path.read_text(encoding="utf-8")
