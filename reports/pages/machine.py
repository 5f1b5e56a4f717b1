"""A judgement in the forms that programs read: JSON, and JUnit XML for CI systems."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree as ET

from bench.text import one_line
from reports.pages import verdict_section
from reports.runs.completeness import Square, ranges
from reports.verdict import baseline as baselines
from reports.verdict.gates import FAILED, NOT_RUN
from reports.verdict.judgement import Judgement


def as_json(judgement: Judgement) -> str:
    """Return the judgement of the night as JSON; a number that is not finite is null.

    ``confirmation_command`` is the words of the command that ``check`` asks for, or none.
    """
    content = asdict(replace(judgement, calibration=None)) | {"exit_code": judgement.exit_code}
    del content["calibration"]  # of no night: it is published beside the reports
    content["confirmation_command"] = verdict_section.confirmation_words(judgement)
    return json.dumps(_plain(content), indent=2, sort_keys=True, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _key(key: Any) -> str:
    return " ".join(key) if isinstance(key, tuple) else str(key)


def as_junit(judgement: Judgement) -> str:
    """Return a JUnit XML with a case per square of the grid, per gate, and one for the night.

    A square that failed or is worse is a failure; one that is missing or whose verdict is open an
    error. A gate that did not run is skipped. The time of a square's case is that of its runs.
    """
    cases, errors = _failures(judgement), _errors(judgement)
    suite = ET.Element("testsuite", name="hnrnn")
    for square in sorted({*judgement.squares, *cases, *errors}):
        case = _add_case(suite, " ".join(square), judgement.run_seconds.get(square, 0.0))
        _add_outcome(case, "failure", cases.get(square, []))
        _add_outcome(case, "error", errors.get(square, []))
    for gate in judgement.gates:
        case = _add_case(suite, gate.name)
        if gate.state == FAILED:
            _add_outcome(case, "failure" if judgement.exit_code == 1 else "error", [gate.reason])
        elif gate.state == NOT_RUN:
            _add_outcome(case, "skipped", [gate.reason])
    night = _add_case(suite, "night", sum(judgement.run_seconds.values()))
    if judgement.exit_code == 1:
        _add_outcome(night, "failure", judgement.reasons)
    elif judgement.exit_code:
        _add_outcome(night, "error", judgement.reasons)
    for attribute, tag in (
        ("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped"),
    ):  # fmt: skip
        suite.set(attribute, str(len(list(suite.iter(tag)))))
    suite.set("time", _seconds(sum(judgement.run_seconds.values())))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, name: str, seconds: float = 0.0) -> ET.Element:
    # XML cannot hold every character, and data may have any in it.
    return ET.SubElement(
        suite, "testcase", classname="hnrnn", name=one_line(name), time=_seconds(seconds)
    )


def _add_outcome(case: ET.Element, tag: str, texts: Sequence[str]) -> None:
    if texts:
        ET.SubElement(case, tag, message=one_line("; ".join(texts)))


def _seconds(value: float) -> str:
    """Return seconds as viewers of JUnit read them: a missing or odd number shows as NaN."""
    return f"{value if math.isfinite(value) else 0.0:.3f}"


def _failures(judgement: Judgement) -> dict[Square, list[str]]:
    found: dict[Square, list[str]] = {}
    comparison = judgement.comparison
    if comparison and comparison.confirmation:
        for d in comparison.confirmation.worse:
            found.setdefault(d.square, []).append(f"{d.measure} is worse (p {d.worse_p:.4f})")
    if comparison:
        for square, seeds in comparison.changed.items():
            text = f"other weights than in the baseline with seeds {ranges(seeds)}"
            found.setdefault(square, []).append(text)
    for change in judgement.changes:
        if change.slower:
            square = (change.variant, change.backend)
            found.setdefault(square, []).append(f"{change.phase} is slower ({change.change:.2f})")
    return found


def _errors(judgement: Judgement) -> dict[Square, list[str]]:
    found: dict[Square, list[str]] = {}
    for problem in judgement.problems:
        if problem.square:
            found.setdefault(problem.square, []).append(str(problem))
    comparison = judgement.comparison
    if comparison and comparison.verdict == baselines.SUSPECTED:
        for d in comparison.first.worse:
            text = f"{d.measure} is suspected to be worse (p {d.worse_p:.4f})"
            found.setdefault(d.square, []).append(text)
    return found
