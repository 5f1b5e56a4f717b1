"""A judgement for programs: JSON, and JUnit XML for CI systems."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
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
        return {
            " ".join(key) if isinstance(key, tuple) else key: _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def as_junit(judgement: Judgement) -> str:
    """Return JUnit XML with one case per configuration, one per gate, and one for the night.

    A configuration that is worse, slower or another computation is a failure. One that is missing,
    failed to train or is only suspected is an error. A gate that did not run is skipped. The time
    of a configuration's case is the time of its runs.
    """
    seconds, total = judgement.run_seconds, sum(judgement.run_seconds.values())
    failed = "failure" if judgement.exit_code == 1 else "error"
    tags = {FAILED: failed, UNEXPLAINED: "error", NOT_RUN: "skipped"}
    outcomes: dict[Configuration, dict[str, list[str]]] = {
        configuration: {} for configuration in judgement.configurations
    }
    for tag, found in (("failure", _failures(judgement)), ("error", _errors(judgement))):
        for configuration, text in found:
            outcomes.setdefault(configuration, {}).setdefault(tag, []).append(text)
    suite = ET.Element("testsuite", name="hnrnn")
    for configuration, texts in sorted(outcomes.items()):
        _add_case(suite, " ".join(configuration), seconds.get(configuration, 0.0), texts)
    for gate in judgement.gates:
        texts = {tags[gate.state]: [gate.reason]} if gate.state in tags else {}
        _add_case(suite, gate.name, 0.0, texts)
    reasons = {failed: judgement.reasons} if judgement.exit_code else {}
    _add_case(suite, "night", total, reasons)
    for attribute, tag in (
        ("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped"),
    ):  # fmt: skip
        suite.set(attribute, str(len(list(suite.iter(tag)))))
    suite.set("time", _seconds(total))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(
    suite: ET.Element, name: str, seconds: float, outcomes: Mapping[str, Sequence[str]]
) -> None:
    # Data may hold characters that XML cannot.
    case = ET.SubElement(
        suite, "testcase", classname="hnrnn", name=one_line(name), time=_seconds(seconds)
    )
    for tag, texts in outcomes.items():
        ET.SubElement(case, tag, message=one_line("; ".join(texts)))


def _seconds(value: float) -> str:
    """Return seconds as JUnit viewers expect them; 0 if the value is not finite."""
    return f"{value if math.isfinite(value) else 0.0:.3f}"


def _failures(judgement: Judgement) -> Iterator[tuple[Configuration, str]]:
    comparison = judgement.comparison
    for d in comparison.confirmed if comparison else ():
        yield d.configuration, f"{d.measure} is {d.direction} (p {d.p:.4f})"
    for departure in judgement.same.others:
        yield departure.configuration, departure.sentence(f"{FASTAI}'s")
    for departure in judgement.pairs.others if judgement.pairs else ():
        yield departure.configuration, departure.sentence("the baseline's")
    for change in judgement.changes:
        if change.slower:
            text = f"{change.phase} is slower ({change.change:.2f})"
            yield (change.variant, change.backend), text


def _errors(judgement: Judgement) -> Iterator[tuple[Configuration, str]]:
    for problem in judgement.problems:
        if problem.configuration:
            yield problem.configuration, str(problem)
    comparison = judgement.comparison
    if comparison and comparison.verdict == baseline.SUSPECTED:
        for d in comparison.first.suspects:
            text = f"{d.measure} is suspected to be {d.direction} (p {d.p:.4f})"
            yield d.configuration, text
