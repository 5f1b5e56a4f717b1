"""The report as one page of HTML."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reports.pages.html import POLICY, page

MARKDOWN = """# Title

![a picture](p.png)

[Model1](#model1)

| name | value |
| :-- | --: |
| b | 10 |
| a | 9 |
| <script>document.title = "injected"</script> | - |

## Model1

<img src=x onerror="document.title = 'injected'">
"""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the picture and the page."""
    Image.new("RGB", (40, 30), "#0072B2").save(tmp_path / "p.png")
    (tmp_path / "report.html").write_text(page(MARKDOWN, tmp_path), encoding="utf-8")
    return tmp_path


def test_self_contained(folder: Path) -> None:
    """The page contains its picture, fetches nothing, and its internal links have targets."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    assert '<h2 id="model1">' in html
    assert 'href="#model1"' in html


def test_data_are_no_markup(folder: Path) -> None:
    """HTML in the markdown is shown as text."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert html.count("<script>") == 1
    assert "&lt;script&gt;document.title" in html
    assert "<img src=x" not in html


def run_chromium(folder: Path, *arguments: str) -> str:
    """Run a headless browser on the page, without a network, and return what it prints."""
    quiet = ["--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    command = [str(CHROMIUM), "--headless", "--no-sandbox", *quiet, "--disable-component-update"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=2000", *arguments]
    result = subprocess.run(
        [*command, (folder / "report.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return result.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize(("clicks", "names"), [(0, ["b", "a"]), (1, ["a", "b"]), (2, ["b", "a"])])
def test_tables_are_sorted(clicks: int, names: list[str], folder: Path) -> None:
    """A click on a column's header sorts by its numbers; a second click reverses the order."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    script = 'document.querySelectorAll("th button")[1].click();' * clicks
    if clicks:  # the page's policy would keep this script of ours from running
        html = html.replace(POLICY, "")
        html = html.replace("</body>", f"<script>{script}</script></body>")
        (folder / "report.html").write_text(html, encoding="utf-8")
    dom = run_chromium(folder, "--dump-dom")
    cells = re.findall(r"<td[^>]*>([ab])</td>", dom)
    assert cells == names
    assert "<title>The human-numbers notebook, reproduced</title>" in dom
    assert dom.count("<button>") == 2


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_screenshot(width: int, folder: Path) -> None:
    """The page has a light background, shows its picture, and fits the window."""
    target = folder / "page.png"
    run_chromium(folder, f"--window-size={width},900", f"--screenshot={target}")
    with Image.open(target) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] == width
    assert (pixels.min(axis=2) > 230).mean() > 0.8
    assert (pixels == [0, 0x72, 0xB2]).all(axis=2).sum() == 40 * 30
