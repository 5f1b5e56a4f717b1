"""Text from outside, shown as one line."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from hnrnn.text import LONGEST, counted, has_space, one_line
from tests.hostile_data import VALUES


@pytest.mark.parametrize("value", VALUES.values(), ids=[*VALUES])
def test_nothing_is_obeyed(value: str) -> None:
    """Every value becomes one printable line that is valid in XML and not a command for GitHub."""
    line = one_line(value)
    assert line.isprintable()
    assert len(line) <= LONGEST
    assert not line.startswith("::")
    assert "##[" not in line
    element = ET.Element("case", message=line)
    assert ET.fromstring(ET.tostring(element)).get("message") == line  # noqa: S314  # our own
    assert one_line(line) == line


def test_nothing_is_lost() -> None:
    """Printable characters of any script stay; others are escaped."""
    assert one_line("Größe 大 @ 2 GHz: 50% | <b>") == "Größe 大 @ 2 GHz: 50% | <b>"
    assert one_line(" a\tb\r\n c ") == "a b c"
    assert one_line("\x1b[31m\x00\u202e\udcff") == "\\x1b[31m\\x00\\u202e\\udcff"
    assert one_line("x" * (LONGEST + 1)).endswith("x ...")
    assert one_line("x" * LONGEST) == "x" * LONGEST
    assert one_line("x" * LONGEST, longest=9) == "xxxxx ..."


def test_counted() -> None:
    """Only 1 takes the singular."""
    assert [counted(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_has_space() -> None:
    """Any white space in a path is found."""
    assert has_space("/a b/c")
    assert has_space("/a\tb")
    assert not has_space("/a-b/c")
