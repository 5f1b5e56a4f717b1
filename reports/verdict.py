"""A judgement in the forms that programs read: JSON, and JUnit XML for CI systems."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree as ET

from bench.text import one_line
from reports import baseline as baselines
from reports import verdict_section
from reports.completeness import Square, ranges
from reports.judgement import Judgement


def as_json(judgement: Judgement) -> str:
    """Return the whole judgement as JSON; a number that is not finite is null.

    ``confirmation_command`` is the words of the command that ``check`` asks for, or none.
    """
    content = asdict(judgement) | {"exit_code": judgement.exit_code}
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
    """Return a JUnit XML with a case a square of the grid, and one for the night as a whole.

    A square that failed or is worse is a failure; one that is missing or whose verdict is open an
    error, since CI systems have no third kind.
    """
    cases = _failures(judgement)
    errors = _errors(judgement)
    squares = sorted({*judgement.squares, *cases, *errors})
    suite = ET.Element("testsuite", name="hnrnn")
    for square in squares:
        _add_case(suite, " ".join(square), cases.get(square, []), errors.get(square, []))
    of_night = [str(p) for p in judgement.problems if p.square is None]
    fails = judgement.exit_code == 1
    _add_case(
        suite,
        "night",
        list(judgement.reasons) if fails else [],
        of_night if fails else ([] if not judgement.exit_code else list(judgement.reasons)),
    )
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
        suite.set(attribute, str(len(list(suite.iter(tag)))))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ET.Element, name: str, failures: Sequence[str], errors: Sequence[str]) -> None:
    # XML cannot hold every character, and data may have any in it.
    case = ET.SubElement(suite, "testcase", classname="hnrnn", name=one_line(name))
    for tag, texts in (("failure", failures), ("error", errors)):
        if texts:
            ET.SubElement(case, tag, message=one_line("; ".join(texts)))


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
