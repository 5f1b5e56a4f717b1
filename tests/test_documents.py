"""README, CONTRIBUTING and docs: what they link to is there, and what they show runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.__main__ import make_parser as bench
from hnrnn.__main__ import make_parser as hnrnn
from reports.__main__ import make_parser as reports
from reports.ci.__main__ import make_parser as ci
from tests.places import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PARSERS = {"hnrnn": hnrnn, "bench": bench, "reports": reports, "reports.ci": ci}
LONGEST_README = 900
"""Words."""
IN_PROCESS = """
from bench.engines import local
from tests.in_process import InProcessPool
local.LocalPool = InProcessPool
"""


def name(path: Path) -> str:
    """Return a document's path in the checkout."""
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives to a document's headings, and the document's own."""
    text = re.sub(
        r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    seen: Counter[str] = Counter()
    found = set(re.findall(r"^\((\S+)\)=$", text, re.MULTILINE))
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links(path: Path) -> None:
    """Every link to a file of the repository finds it, and its anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.is_file(), target
        if anchor:
            assert anchor in anchors(found), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_commands_parse(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that is shown exists and takes the options that it is given."""
    monkeypatch.chdir(tmp_path)
    commands = re.findall(
        r"^ *\$ python -m (\S+)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    for module, words in commands:
        if module in PARSERS:
            try:
                PARSERS[module]().parse_args(shlex.split(words, comments=True))
            except SystemExit:
                pytest.fail(capsys.readouterr().err)


@pytest.mark.slow
def test_python_runs(tmp_path: Path) -> None:
    """The Python of every document runs from top to bottom, beside the published results."""
    (tmp_path / "results").symlink_to(ROOT / "reports" / "published" / "cpu")
    blocks = [
        block
        for path in DOCUMENTS
        if path.name != "your-own-model.md"  # which has a test of its own
        for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(blocks) > 5
    (tmp_path / "blocks.py").write_text("\n".join([IN_PROCESS, *blocks]), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "blocks.py"]  # in one process, which loads torch once
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)


def test_readme_is_short() -> None:
    """The README is read in a few minutes."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < LONGEST_README
