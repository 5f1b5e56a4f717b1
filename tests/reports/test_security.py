"""Text from a results folder is shown as data, never read as markup or as a command."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape as xml_escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench.__main__ import main as bench
from bench.text import one_line
from hnrnn.variants import VARIANTS
from reports.__main__ import main
from reports.figures import models as figures
from reports.figures.trends import trend
from reports.pages import html, provenance
from reports.pages.tables import escape, table
from tests import hostile_data
from tests.escaping import (
    check_html,
    check_markdown,
    check_terminal,
    tokens_of,
)
from tests.history_data import made_up_history
from tests.hostile_data import VALUES
from tests.reports.pages.test_html import CHROMIUM, run_chromium

fragments = st.sampled_from([value for name, value in VALUES.items() if name != "long"])
texts = st.lists(fragments | st.text(max_size=8), max_size=5).map("".join)
"""Whatever a store may hold, and mostly what is hostile."""


@settings(max_examples=50)
@given(text=texts)
def test_escaped_text_is_text(text: str) -> None:
    """Escaped text is shown literally in a table, a list, a heading or a sentence."""
    shown = escape(text)
    pages = (
        table(["a", "b"], [[text, "c"]]),
        f"- {shown}\n- {shown}",
        f"## {shown}",
        f"On {shown}.",
    )
    for page in pages:
        check_markdown(page)
        read = "".join(token.content for token in tokens_of(page) if token.type == "text")
        assert one_line(text) in read.replace("\u2060", "")


@given(text=texts)
def test_one_line_is_no_command(text: str) -> None:
    """A line of text is no command to a terminal, GitHub's runner or an XML reader."""
    shown = one_line(text)
    check_terminal(shown)
    assert len(shown.splitlines()) <= 1
    assert ET.fromstring(f"<a>{xml_escape(shown)}</a>").text in (shown, None)  # noqa: S314  # our own


@dataclass(frozen=True)
class Night:
    """A night that every command was called on: its folder, exit codes, and what was printed."""

    folder: Path
    codes: dict[str, int]
    printed: str

    def text(self, name: str) -> str:
        """Return a page."""
        return (self.folder / "results" / "report" / name).read_text(encoding="utf-8")


def show(folder: Path, first: int, capsys: pytest.CaptureFixture[str]) -> Night:
    """Write the values from number ``first`` on everywhere, then call every command on it."""
    hostile_data.hostile_store(folder / "results", first)
    hostile_data.hostile_files(folder / "results", first)
    hostile_data.hostile_store(folder / "baseline", first + 1)
    hostile_data.hostile_history(folder / "history", first)
    findings = hostile_data.hostile_findings(folder / "findings.toml", first)
    results = ["--results", str(folder / "results")]
    arguments = [*results, "--history", str(folder / "history"), "--findings", str(findings)]
    baseline, copy = ["--baseline", str(folder / "baseline")], ["--output", str(folder / "copy")]
    codes = {
        "check": main(["check", *arguments]),
        "render": main(["render", *arguments]),
        "check with a baseline": main(["check", *arguments, *baseline]),
        "power": main(["power", *results]),
        "freeze": main(["baseline", "freeze", *results, *copy]),
        "compact": bench(["compact", *results, *copy]),
    }
    output = capsys.readouterr()
    return Night(folder, codes, output.out + output.err)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing: each picture is a dot."""

    def draw(_: object, path: Path) -> None:
        Image.new("RGB", (1, 1)).save(path)

    monkeypatch.setattr(figures, "save", draw)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (5, 11))])
def test_data_are_shown_as_data(
    first: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hostile values in every text column and file name leave every output well formed."""
    monkeypatch.chdir(tmp_path)
    night = show(tmp_path, first, capsys)
    assert night.codes == {
        "check": 3,
        "render": 0,
        "check with a baseline": 2,
        "power": 2,
        "freeze": 2,
        "compact": 2,
    }
    for name in ("report.md", "summary.md", "verdict.md"):
        check_markdown(night.text(name))
    check_html(night.text("report.html"))
    check_terminal(night.printed)
    assert json.loads(night.text("verdict.json"))["verdict"] == "incomplete"
    assert ET.fromstring(night.text("verdict.xml")).tag == "testsuite"  # noqa: S314  # our own
    assert len(night.text("summary.md").encode()) < 2**20
    assert not (tmp_path / "hostile").exists()


@pytest.mark.filterwarnings("ignore:Glyph")
def test_labels_are_drawn_as_they_are(tmp_path: Path) -> None:
    """A dollar in a device's name does not start a formula in the trend figure."""
    nights = made_up_history(2 * len(VALUES))
    for number, value in enumerate(VALUES.values()):
        nights.loc[nights.index[2 * number], "device_name"] = value
    figures.save(trend("Model5", nights), tmp_path / "trend.png")
    with Image.open(tmp_path / "trend.png") as picture:
        assert picture.width > 1000


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.usefixtures("no_pictures")
def test_nothing_runs_in_a_browser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a browser no injected script has run, even without the policy that would forbid it."""
    report = show(tmp_path, 0, capsys).folder / "results" / "report"
    page = (report / "report.html").read_text(encoding="utf-8")
    assert page.count(html.POLICY) == 1
    (report / "report.html").write_text(page.replace(html.POLICY, ""), encoding="utf-8")
    dom = run_chromium(report, "--dump-dom")
    assert "<title>The human-numbers notebook, reproduced</title>" in dom
    assert "<button>" in dom, "our own script has not run"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
def test_policy_stops_what_got_in(tmp_path: Path) -> None:
    """A script or an event in the page does not run: only the page's own script does."""
    injected = f'<script>{hostile_data.RUN}</script><img src=x onerror="{hostile_data.RUN}">'
    page = html.page("| a |\n| - |\n| b |", tmp_path).replace("<table>", f"{injected}<table>")
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    dom = run_chromium(tmp_path, "--dump-dom")
    assert "<title>The human-numbers notebook, reproduced</title>" in dom
    assert "<button>" in dom
    (tmp_path / "report.html").write_text(page.replace(html.POLICY, ""), encoding="utf-8")
    assert "<title>hostile</title>" in run_chromium(tmp_path, "--dump-dom")


RUNS = hostile_data.sound_contents().runs


@settings(max_examples=50)
@given(value=texts)
def test_pasting_the_command_does_no_harm(value: str) -> None:
    """The command that repeats a night passes each value as one word."""
    hostile = RUNS.assign(device=value, dtype=value, initialisation=value)
    lines = provenance.commands(hostile).split("\n")
    assert len(lines) <= len(VARIANTS)
    shown = one_line(value)
    for line in lines:
        words = shlex.split(line)
        assert line.isprintable()
        assert words[words.index("--device") + 1 :] == [
            *(shown, "--dtype", shown, "--initialisation", shown)
        ]


BAD_FINDINGS = {
    "no text": 'variant = 1\nas_extreme = 1\nseeds = 2\nreason = ""',
    "no number": 'variant = "Model2"\nas_extreme = "1"\nseeds = 2\nreason = ""',
    "no whole number": 'variant = "Model2"\nas_extreme = 0.5\nseeds = 2\nreason = ""',
    "no share": 'variant = "Model2"\nas_extreme = 3\nseeds = 2\nreason = ""',
    "no seeds": 'variant = "Model2"\nas_extreme = 0\nseeds = 0\nreason = ""',
    "no variant": 'variant = "\\u001b[31m\\n::error::x"\nas_extreme = 0\nseeds = 1\nreason = ""',
    "no toml": "\x1b[31m\n::error::x",
}


@pytest.mark.parametrize("text", BAD_FINDINGS.values(), ids=[*BAD_FINDINGS])
def test_bad_findings(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of invalid findings is refused in one line, with exit code 2."""
    path = tmp_path / "findings.toml"
    path.write_text(f"[[finding]]\n{text}\n", encoding="utf-8")
    assert main(["check", "--findings", str(path)]) == 2
    error = capsys.readouterr().err
    assert "findings.toml" in error
    assert len(error.splitlines()) == 1
    check_terminal(error)
