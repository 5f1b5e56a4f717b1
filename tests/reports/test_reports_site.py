"""``python -m reports site``: a static site of all nights."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from reports.__main__ import main
from reports.history.nights import append, verdict_page
from reports.history.past import read_past
from reports.pages import html, site
from reports.pages.site_script import SCRIPT
from tests.escaping import check_terminal
from tests.history_data import (
    EVIDENCE,
    FIRST,
    INCOMPLETE,
    REASON,
    REGRESSED,
    SHIFT,
    TORCH,
    made_up_history,
    write_history,
)
from tests.hostile_data import hostile_history
from tests.places import ROOT
from tests.reports.pages.test_html import CHROMIUM

LARGEST = 5_000_000
GOLDEN = ROOT / "tests" / "reports" / "pages" / "golden" / "regressed" / "verdict.md"


def build(history: Path, output: Path, *more: str) -> int:
    """Build the site of a history."""
    return main(["site", "--history", str(history), "--output", str(output), *more])


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a history of 200 nights with real pages on their verdicts, and its site."""
    folder = tmp_path_factory.mktemp("long")
    page = GOLDEN.read_text(encoding="utf-8").split("\n\n", 2)[2]
    write_history(folder / "history", page=page)
    assert build(folder / "history", folder / "site") == 0
    return folder / "history", folder / "site"


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Keep a script's text."""
        if self.found and self.found[-1][0] == "script" and data.strip():
            self.scripts.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        """Return the attributes of every such tag."""
        return [attributes for name, attributes in self.found if name == tag]


def page_of(folder: Path) -> str:
    """Return the text of the page of all nights."""
    return (folder / "index.html").read_text(encoding="utf-8")


def data_of(folder: Path) -> dict[str, Any]:
    """Return what the page gives to its charts."""
    (text,) = re.findall(r'id="data">(.*?)</script>', page_of(folder))
    content: dict[str, Any] = json.loads(text)
    return content


def time_of(night: int) -> int:
    """Return a night's start in seconds."""
    return round((FIRST + pd.Timedelta(days=night)).timestamp())


def test_what_is_written(long: tuple[Path, Path]) -> None:
    """A page, Vega in one file, and a page for each night: small, and without a network."""
    files = [path for path in long[1].rglob("*") if path.is_file()]
    names = {path.relative_to(long[1]).as_posix() for path in files}
    assert {"index.html", "vega.js", "nights/20260102T030400Z.html"} <= names
    assert len(names) == 202
    assert sum(path.stat().st_size for path in files) < LARGEST
    tags = Tags(page_of(long[1]))
    assert [script.get("src", "") for script in tags.of("script")] == ["", "vega.js", ""]
    assert tags.scripts[1:] == [SCRIPT]
    links = [link["href"] for link in tags.of("a")]
    assert len(links) == 201
    assert all((long[1] / link).exists() for link in links)
    policy = tags.of("meta")[1]["content"]
    assert policy == site.POLICY
    assert "unsafe-eval" not in policy
    assert "default-src 'none'" in policy


def test_values_are_the_historys(long: tuple[Path, Path]) -> None:
    """Every value, seed count and night of the charts is that of the history."""
    past, data = read_past(long[0]), data_of(long[1])
    assert data["time"] == [time_of(night) for night in range(200)]
    assert len(data["configurations"]) == 24
    for one in data["configurations"]:
        mine = (past.nights["variant"] == one["model"]) & (past.nights["backend"] == one["backend"])
        rows = past.nights[mine]
        assert [data["time"][n] for n in one["night"]] == [
            round(t.timestamp()) for t in rows["night"]
        ]
        assert one["seeds"] == [20] * len(rows)
        value, low, high = map(np.array, one["values"]["accuracy"])
        error = rows["accuracy_sd"] / np.sqrt(20)
        assert value == pytest.approx(rows["accuracy_mean"], abs=1e-5)
        assert high - value == pytest.approx(error, abs=2e-5)
        assert value - low == pytest.approx(error, abs=2e-5)
        assert one["values"]["throughput_ratio"][2] == pytest.approx(
            rows["throughput_ratio_high"], abs=1e-5
        )
    counts = {len(one["night"]) for one in data["configurations"]}
    assert counts == {199, 200}, "the incomplete night has half of the configurations"
    assert data["kind"][INCOMPLETE] == data["kind"][100] == "open"
    assert data["kind"][REGRESSED] == data["kind"][SHIFT] == "fails"
    assert (data["torch"][TORCH - 1], data["torch"][TORCH]) == ("2.12.1", "2.13.0")


def test_events_and_bands(long: tuple[Path, Path]) -> None:
    """The accepted shift is an event with its reason, and the baseline's band moves with it."""
    data = data_of(long[1])
    accepted = time_of(SHIFT + 2)
    assert [(event["time"], event["label"]) for event in data["events"]] == [
        (time_of(TORCH), "torch 2.13.0"),
        (time_of(SHIFT), "training code bbbbbbb"),
        (accepted, f"2026-05-04 {REASON}"),
    ]
    (own,) = [
        one for one in data["configurations"] if (one["model"], one["backend"]) == ("Model4", "nn")
    ]
    (since, until, _, before, top), (then, last, bottom, after, _) = own["baselines"]["accuracy"]
    assert (since, until, then, last) == (time_of(0), accepted, accepted, time_of(199))
    assert before == own["values"]["accuracy"][0][0]
    assert after == own["values"]["accuracy"][0][SHIFT + 2]
    assert top < bottom
    alarms = {one["model"] for one in data["configurations"] if one["drifts"].get("valid_loss")}
    assert alarms == {"Model7"}
    text = page_of(long[1])
    assert "Model7 ensemble: validation loss has risen from 1.0" in text
    assert "over 78 nights since the accepted shift of 2026-05-04" in text
    assert "targets start at the first word: &lt;b&gt;better&lt;/b&gt; (Model4 nn" in text


def test_latest_verdict(long: tuple[Path, Path]) -> None:
    """It is the first thing on the page, with its evidence and date, and links to all of it."""
    text = page_of(long[1])
    latest = text[text.index("<section") : text.index("</section>")]
    assert '<section class="verdict agrees"' in latest
    assert "The night of 2026-07-20 03:04 UTC" in latest
    assert EVIDENCE in latest
    assert "480 runs of 24 configurations, on NVIDIA H100 80GB HBM3 with torch 2.13.0" in latest
    assert "Gates that ran: complete data, same computation" in latest
    assert 'href="nights/20260720T030400Z.html"' in latest
    night = (long[1] / "nights" / "20260720T030400Z.html").read_text(encoding="utf-8")
    assert "<h1>2026-07-20 03:04 UTC</h1>" in night
    assert "<table>" in night
    assert html.DARK in night


def test_equal_histories_give_equal_sites(tmp_path: Path) -> None:
    """Nothing of the site depends on the time or on the process that builds it."""
    write_history(tmp_path / "history", 4)
    for name in ("a", "b"):
        assert build(tmp_path / "history", tmp_path / name) == 0
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 6
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("first", [0, 5, 11])
def test_hostile_nights(first: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text of the history is shown as text; a file that cannot be read is named."""
    hostile_history(tmp_path / "history", first)
    nights, _ = read_past(tmp_path / "history").nights, None
    injected = '<script>alert(1)</script> <img src="index.png"> ![x](y.png) [z](https://a.invalid)'
    last = nights[nights["night"] == nights["night"].max()]
    page = tmp_path / "history" / verdict_page(last)
    page.parent.mkdir()
    page.write_text(f"## Verdict\n\n{injected}\n", encoding="utf-8")
    assert build(tmp_path / "history", tmp_path / "site") == 0
    said = capsys.readouterr()
    check_terminal(said.out + said.err)
    assert "skipped: " in said.err
    for path in (tmp_path / "site").rglob("*.html"):
        tags = Tags(path.read_text(encoding="utf-8"))
        ours = {SCRIPT, html.SCRIPT}
        assert all(text in ours or text.startswith("{") for text in tags.scripts)
        assert not {name for name, _ in tags.found} & {"img", "svg", "iframe", "base", "object"}
        assert all(not name.startswith("on") for _, given in tags.found for name in given)
        assert all("invalid" not in link["href"] for link in tags.of("a"))
    data = data_of(tmp_path / "site")
    assert all(len(text) < 100 for text in [*data["verdict"], *data["device"], *data["commit"]])
    assert (tmp_path / "site" / "index.html").stat().st_size < 1_000_000


def test_an_empty_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a night there is one clear line, and nothing is written."""
    (tmp_path / "history").mkdir()
    (tmp_path / "history" / "cut.parquet").write_bytes(b"PAR1")
    for name, files in (("nowhere", "0 unreadable files"), ("history", "1 unreadable file")):
        assert build(tmp_path / name, tmp_path / "site") == 2
        assert capsys.readouterr().err == (
            f"python -m reports site: no night can be read in {tmp_path / name} ({files}): "
            "`python -m reports check --history DIR` appends one\n"
        )
    assert build(tmp_path / "history", tmp_path / "site", "--baseline", str(tmp_path / "b")) == 2
    assert "no baseline" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_nights_without_values_or_pages(tmp_path: Path) -> None:
    """A night in which every run diverged has its row; a page that is no text is named."""
    whole = made_up_history(3)
    whole.loc[2, ["seeds", "diverged", "final_values"]] = [0, 25, ""]
    whole.loc[2, ["accuracy_mean", "accuracy_sd", "valid_loss_mean", "valid_loss_sd"]] = np.nan
    for _, rows in whole.groupby("night"):
        append(tmp_path / "history", rows)
        page = tmp_path / "history" / verdict_page(rows)
        page.parent.mkdir(exist_ok=True)
        page.write_bytes(b"\xff")
    assert build(tmp_path / "history", tmp_path / "site") == 0
    data, text = data_of(tmp_path / "site"), page_of(tmp_path / "site")
    (one,) = data["configurations"]
    assert one["values"]["accuracy"][0][2] is None
    assert one["baselines"]["accuracy"] == []
    assert text.count("<tr data-night=") == 3
    assert "Files that cannot be read" in text
    assert "There are too few nights yet to test for slow drift." in text


def test_the_name_of_a_page_is_that_of_its_night(tmp_path: Path) -> None:
    """What ``append`` stores is found again after it was read."""
    nights = made_up_history(2, backends=("nn", "cell"))
    nights.loc[0, ["throughput_ratio", "commit"]] = [np.nan, None]
    paths = [append(tmp_path, rows) for _, rows in nights.groupby("night")]
    found = read_past(tmp_path).nights
    assert [verdict_page(rows) for _, rows in found.groupby("night")] == [
        f"_verdicts/{path.stem}.md" for path in paths
    ]
    assert pq.read_table(paths[0]).num_rows == 2


PROBE = """
const wait = () => new Promise(done => setTimeout(done, 20));
(async () => {
  const drawn = async () => { do await wait(); while (charts.ariaBusy !== "false"); };
  await drawn();
  const all = charts.querySelectorAll("svg").length;
  form.model.value = "Model4";
  form.nights.value = "all";
  form.dispatchEvent(new Event("change"));
  await drawn();
  const cell = charts.querySelector("g[class*=voronoi] path");
  cell.dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
  await wait();
  const figure = charts.querySelector("figure");
  figure.focus();
  figure.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  console.log("PROBE " + JSON.stringify({ all, some: charts.querySelectorAll("svg").length,
    wide: document.documentElement.scrollWidth, window: innerWidth,
    hover: document.getElementById("vg-tooltip-element").innerText,
    read: figure.innerText, background: getComputedStyle(document.body).backgroundColor,
    description: charts.querySelector("[role=graphics-document]").getAttribute("aria-label"),
    label: charts.querySelector("svg text").getAttribute("fill") }));
})();
"""


def probe(folder: Path, width: int, *options: str) -> tuple[dict[str, Any], list[str]]:
    """Open the site so wide in a headless browser; return what the probe saw, and other messages.

    The page keeps its policy, which lets the probe in by its hash. It stands in a frame, because a
    headless window is at least 500 pixels wide.
    """
    digest = base64.b64encode(hashlib.sha256(PROBE.encode()).digest()).decode("ascii")
    text = page_of(folder)
    assert text.count(site.POLICY) == 1
    text = text.replace(site.POLICY, f"{site.POLICY} 'sha256-{digest}'")
    text = text.replace("</body>", f"<script>{PROBE}</script></body>")
    (folder / "probe.html").write_text(text, encoding="utf-8")
    frame = f'<iframe src="probe.html" width="{width}" height="900"></iframe>'
    (folder / "frame.html").write_text(frame, encoding="utf-8")
    quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = [str(CHROMIUM), "--headless", "--no-sandbox", *quiet, "--disable-component-update"]
    command += [
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
        "--virtual-time-budget=60000",
    ]
    command += ["--enable-logging=stderr", "--window-size=1400,1000", "--dump-dom", *options]
    command += [(folder / "frame.html").as_uri()]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    said = re.findall(r'CONSOLE:\d+\] "(.*?)", source:', result.stderr, re.DOTALL)
    (seen,) = [line for line in said if line.startswith("PROBE ")]
    content: dict[str, Any] = json.loads(seen.removeprefix("PROBE "))
    return content, [line for line in said if line != seen]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize(
    ("width", "options", "background"),
    [
        (1280, [], "rgb(255, 255, 255)"),
        (390, ["--blink-settings=preferredColorScheme=0"], "rgb(22, 22, 22)"),
    ],
)
def test_in_a_browser(
    width: int, options: list[str], background: str, long: tuple[Path, Path], tmp_path: Path
) -> None:
    """All charts are drawn without a message, fit the window, and tell of the night pointed at."""
    shutil.copytree(long[1], tmp_path / "site")
    seen, others = probe(tmp_path / "site", width, *options)
    assert others == []
    assert (seen["all"], seen["some"]) == (24, 3)
    assert seen["wide"] == seen["window"] == width
    hover = seen["hover"].split()
    for word in ("2026-01-02", "agrees", "0000000000", "2.12.1", "H100"):
        assert word in hover, seen["hover"]
    assert "night: 2026-07-19 03:04 UTC" in seen["read"]
    assert "torch: 2.13.0" in seen["read"]
    assert seen["description"] == "Model4 compiled: final accuracy, 199 nights"
    assert seen["background"] == background
