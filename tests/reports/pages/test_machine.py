"""A verdict as JSON, JUnit XML and markdown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from bench.store.records import FAILED
from reports.pages.gates_section import gates_line
from reports.pages.machine import as_json, as_junit
from reports.pages.verdict_section import as_markdown, confirmation_command
from reports.verdict.evidence import Evidence
from reports.verdict.findings import Finding
from reports.verdict.judgement import Judgement, judge
from tests.computed_nights import computed_night, departing
from tests.reports.verdict.test_judgement import night


@pytest.fixture(scope="module")
def suspected() -> Judgement:
    """A night in which Model5 is suspected."""
    return judge(Evidence.of(night(60, start=100, moved={"Model5": 0.3}), night(60)))


@pytest.fixture(scope="module")
def broken() -> Judgement:
    """A night with a failed run whose error is hostile, and a missing configuration."""
    contents = night(20)
    runs = contents.runs[contents.runs["variant"] != "Model6"].copy()
    error = "<script>alert(1)</script> | \x00\x1b"
    runs.loc[runs.index[0], ["status", "error"]] = [FAILED, error]
    return judge(Evidence.of(replace(contents, runs=runs)))


def test_json(suspected: Judgement, broken: Judgement) -> None:
    """The JSON has the verdict, its reasons and every number; what is not finite is null."""
    content = json.loads(as_json(suspected))
    assert (content["verdict"], content["exit_code"]) == ("inconclusive", 4)
    assert content["confirmation_seeds"] == "160-219"
    assert len(content["notebook"]["agreements"]) == 8
    assert len(content["comparison"]["first"]["differences"]) == 16
    assert "NaN" not in as_json(broken)
    assert [p["kind"] for p in json.loads(as_json(broken))["problems"]] == [
        "failed run",
        "missing configuration",
    ]


def test_junit(suspected: Judgement, broken: Judgement) -> None:
    """One case per configuration and gate, and for the night; suspicions, problems are errors."""
    suite = ET.fromstring(as_junit(suspected))  # noqa: S314  # our own
    names = [case.get("name") for case in suite.iter("testcase")]
    assert len(names) == 9 + 8
    wrong = {case.get("name"): case[0].tag for case in suite if len(case)}
    assert wrong == {
        "Model5 nn": "error",
        "night": "error",
        "accuracy and loss": "error",
        "same computation": "skipped",
        "notebook's tables": "skipped",
        "same as the baseline": "skipped",
        "confirmation": "skipped",
        "throughput": "skipped",
        "last night's gates": "skipped",
    }
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["17", "0", "3", "6"]
    suite = ET.fromstring(as_junit(broken))  # noqa: S314
    wrong = {case.get("name"): case[0] for case in suite if len(case)}
    failed = {name for name, outcome in wrong.items() if outcome.tag != "skipped"}
    assert failed == {"Model0 custom", "Model6 cell", "complete data", "night"}
    assert wrong["Model0 custom"].tag == "error"
    assert "<script>alert(1)</script>" in str(wrong["Model0 custom"].get("message"))


def test_junit_of_a_regression() -> None:
    """A regression that is confirmed is a failure of its configuration and of the night."""
    worse = {"Model5": 0.3}
    evidence = Evidence.of(
        night(60, start=100, moved=worse), night(60), night(60, start=300, moved=worse)
    )
    suite = ET.fromstring(as_junit(judge(evidence)))  # noqa: S314
    failed = {case.get("name") for case in suite if case.find("failure") is not None}
    assert failed == {"Model5 nn", "accuracy and loss", "confirmation", "night"}
    assert suite.get("errors") == "0"


def test_junit_of_another_computation() -> None:
    """The configuration fails, with its first epoch and column; so do its gate and the night."""
    faulty = departing(computed_night(1), "Model5", 0.2)
    suite = ET.fromstring(as_junit(judge(Evidence.of(faulty))))  # noqa: S314
    failed = {case.get("name"): case[0] for case in suite if case.find("failure") is not None}
    assert set(failed) == {"Model5 nn", "same computation", "night"}
    assert "first in epoch 0, valid_loss, by" in str(failed["Model5 nn"].get("message"))
    content = json.loads(as_json(judge(Evidence.of(faulty))))
    (found,) = [each for each in content["same"]["departures"] if each["variant"] == "Model5"]
    assert (found["verdict"], found["epoch"], found["seeds"]) == ("another computation", 0, 1)


def test_junit_of_a_good_night() -> None:
    """A night that agrees has no case that failed, and names the gates that did not run."""
    suite = ET.fromstring(as_junit(judge(Evidence.of(night(20), night(20)))))  # noqa: S314
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("17", "0", "0")
    skipped = [case.get("name") for case in suite if case.find("skipped") is not None]
    assert skipped == [
        "same computation",
        "notebook's tables",
        "confirmation",
        "throughput",
        "last night's gates",
    ]


def test_junit_has_times() -> None:
    """Every case has its seconds as a plain number: its runs' and their sum."""
    suite = ET.fromstring(as_junit(judge(Evidence.of(night(20)))))  # noqa: S314
    times = {case.get("name"): case.get("time") for case in suite}
    assert times["Model0 custom"] == "60.000"
    assert times["night"] == suite.get("time") == "480.000"
    assert times["same as the baseline"] == "0.000"


def test_markdown(suspected: Judgement, broken: Judgement) -> None:
    """The block says the verdict, what to do, and shows the tables; data are no markup."""
    text = as_markdown(suspected)
    assert text.startswith("## Verdict\n\n**Inconclusive.**")
    assert confirmation_command(suspected) in text
    assert "--variants Model5 --backends nn --seeds 160-219" in text
    assert "### Against the baseline" in text
    assert re.search(r"\| Model5 \| nn \| accuracy \| .* \| 60, 60 \|", text)
    assert text.count("| 60 | custom |") == 5
    elsewhere = replace(suspected, confirmation_folder="night of/fresh")
    assert confirmation_command(elsewhere).endswith("--results 'night of/fresh'")
    other = {
        "dtype": "float64",
        "initialisation": "uniform",
        "device": "cuda",
        "injected_fault": "same_seed",
    }
    assert (
        "--dtype float64 --initialisation uniform --device cuda --inject-fault same_seed --results"
        in confirmation_command(replace(suspected, kind=other))
    )
    text = as_markdown(broken)
    assert "**Cannot be judged: the data are incomplete or corrupt.**" in text
    assert "<script>" not in text
    assert "- missing configuration: Model6 cell has no runs" in text


def test_gates_in_words(suspected: Judgement) -> None:
    """Every gate is named, by what it came to; what did not run says why."""
    line = gates_line(suspected)
    assert line.startswith(
        "**Gates.** Passed: complete data. Not run: same computation (480 runs: "
    )
    assert line.endswith(
        "notebook's tables (the baseline decides; the tables are shown below); same as the "
        "baseline (480 runs: no such run in the baseline); confirmation (there are no sound "
        "runs of fresh seeds); throughput (the baseline was not timed); last night's gates (no "
        "history was given). "
        "Failed: accuracy and loss."
    )
    assert "| throughput | not run | the baseline was not timed |" in as_markdown(suspected)


def test_markdown_says_how_rare() -> None:
    """The rarest table is named with its count and p-value, and what is accepted is said."""
    finding = Finding("Model2", 0, 1000, "A rare run of the notebook.")
    text = as_markdown(judge(Evidence.of(night(170, moved={"Model2": 2.0}), findings=(finding,))))
    assert "Tables that differ at the 5% level: Model2." in text
    assert "The rarest is that of Model2: 0 of our 170 seeds are as extreme (p 0.0058" in text
    assert "Model2 differs: this is an accepted finding and does not fail the night." in text
    assert re.search(r"the 8 tables give p [\d.]+ \(Fisher\), and p [\d.]+ without Model2\.", text)
    assert "- Model2: 0 of 1000 seeds as extreme (p 0.0010; the share is between 0.0000" in text
    assert "A rare run of the notebook." in text
    assert text.startswith("## Verdict\n\n**Agrees.**")
