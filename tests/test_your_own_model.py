"""docs/your-own-model.md: what the page shows is what comes out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from reports.__main__ import main
from tests.places import ROOT

PAGE = ROOT / "docs" / "your-own-model.md"
BLOCK = re.compile(r"```(python|console|text)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
OF_ROUNDING = ("limit", "healthy")
"""Lines with these words print distances by rounding, which another processor has others of."""
CODES = [1, 0]
"""The exit codes that the page states for its two commands."""


def same(shown: str, printed: str) -> None:
    """Hold what is printed against what the page shows: equal words, and numbers to a last digit.

    Training depends on the processor, but differs by less than what is printed.
    """
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", shown).split()
    for line, own in zip(shown.splitlines(), printed.splitlines(), strict=True):
        if not any(word in line for word in OF_ROUNDING):
            for expected, number in zip(NUMBER.findall(line), NUMBER.findall(own), strict=True):
                unit = 10.0 ** -len(expected.partition(".")[2])
                value = float(expected.replace(",", ""))
                assert float(number.replace(",", "")) == pytest.approx(value, 0.02, 1.01 * unit)


@pytest.mark.slow
def test_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The blocks run from top to bottom in one session, and print what the page says they do."""
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    codes, shown, printed = [], 0, ""
    for kind, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            exec(compile(block, str(PAGE), "exec"), session)  # noqa: S102  # our own page
            printed = capsys.readouterr().out
        elif kind == "console":
            command, _, output = block.partition("\n")
            codes.append(main(shlex.split(command)[4:]))
            same(output, capsys.readouterr().out)
        else:
            same(block, printed)
            shown += 1
    assert codes == CODES
    assert shown == 7
    assert float(session["times"][0]) > 10  # type: ignore[index]
    assert float(session["same"].max()) < 1  # type: ignore[attr-defined]
    assert sorted(path.name for path in (tmp_path / "compared").iterdir()) == [
        "compare.json",
        "compare.md",
        "compare.png",
    ]
