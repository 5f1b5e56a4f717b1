"""A judgement for programs: JSON, and JUnit XML for CI systems."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from xml.etree import ElementTree as ET

from bench.text import one_line
from reports.pages import verdict_section
from reports.runs.departures import FASTAI
from reports.runs.night import Configuration
from reports.verdict import baseline
from reports.verdict.gates import FAILED, NOT_RUN, UNEXPLAINED
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
    """Return JUnit XML with one case per configuration, one per gate, and one for the night.

    A configuration that is worse, slower or another computation is a failure. One that is missing,
    failed to train or is only suspected is an error. A gate that did not run is skipped. The time
    of a configuration's case is the time of its runs.
    """
    cases, errors = _failures(judgement), _errors(judgement)
    suite = ET.Element("testsuite", name="hnrnn")
    for configuration in sorted({*judgement.configurations, *cases, *errors}):
        case = _add_case(
            suite, " ".join(configuration), judgement.run_seconds.get(configuration, 0.0)
        )
        _add_outcome(case, "failure", cases.get(configuration, []))
        _add_outcome(case, "error", errors.get(configuration, []))
    for gate in judgement.gates:
        case = _add_case(suite, gate.name)
        if gate.state == FAILED:
            _add_outcome(case, "failure" if judgement.exit_code == 1 else "error", [gate.reason])
        elif gate.state == UNEXPLAINED:
            _add_outcome(case, "error", [gate.reason])
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
    # Data may hold characters that XML cannot.
    return ET.SubElement(
        suite, "testcase", classname="hnrnn", name=one_line(name), time=_seconds(seconds)
    )


def _add_outcome(case: ET.Element, tag: str, texts: Sequence[str]) -> None:
    if texts:
        ET.SubElement(case, tag, message=one_line("; ".join(texts)))


def _seconds(value: float) -> str:
    """Return seconds as JUnit viewers expect them; 0 if the value is not finite."""
    return f"{value if math.isfinite(value) else 0.0:.3f}"


def _failures(judgement: Judgement) -> dict[Configuration, list[str]]:
    found: dict[Configuration, list[str]] = {}
    comparison = judgement.comparison
    if comparison:
        for d in comparison.confirmed:
            found.setdefault(d.configuration, []).append(
                f"{d.measure} is {d.direction} (p {d.p:.4f})"
            )
    pairs = judgement.pairs.others if judgement.pairs else []
    for reference, others in ((FASTAI, judgement.same.others), ("the baseline", pairs)):
        for departure in others:
            found.setdefault(departure.configuration, []).append(
                departure.sentence(f"{reference}'s")
            )
    for change in judgement.changes:
        if change.slower:
            configuration = (change.variant, change.backend)
            found.setdefault(configuration, []).append(
                f"{change.phase} is slower ({change.change:.2f})"
            )
    return found


def _errors(judgement: Judgement) -> dict[Configuration, list[str]]:
    found: dict[Configuration, list[str]] = {}
    for problem in judgement.problems:
        if problem.configuration:
            found.setdefault(problem.configuration, []).append(str(problem))
    comparison = judgement.comparison
    if comparison and comparison.verdict == baseline.SUSPECTED:
        for d in comparison.first.suspects:
            text = f"{d.measure} is suspected to be {d.direction} (p {d.p:.4f})"
            found.setdefault(d.configuration, []).append(text)
    return found
