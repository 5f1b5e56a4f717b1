"""``report.html``: the report in one file, with its pictures, that needs no network.

markdown-it turns the markdown into HTML, and shows raw HTML in it as text. If data became markup
all the same, the page's content security policy would still run no script but the page's own, and
load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light; --ink: #1a1a1a; --paper: #fff; --line: #ddd; --faint: #e4e4e4;
        --soft: #f5f5f5; --hover: #f3f8fb; --accent: #0072b2; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 1180px; margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
img { max-width: 100%; height: auto; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.86rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--faint); white-space: nowrap; }
th { text-align: left; } .number { text-align: right; }
td.long { white-space: normal; min-width: 12rem; overflow-wrap: anywhere; }
th { position: sticky; top: 0; background: var(--soft); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort=ascending] button::after { content: " \\25B2"; }
th[aria-sort=descending] button::after { content: " \\25BC"; }
tbody tr:hover { background: var(--hover); }
pre { background: var(--soft); padding: 0.6rem; overflow-x: auto; white-space: pre-wrap; }
@media (max-width: 640px) {
  p:has(> img) { overflow-x: auto; }
  p > img { max-width: 760px; }
}
"""
DARK = """
@media (prefers-color-scheme: dark) {
  :root { color-scheme: dark; --ink: #e6e6e6; --paper: #161616; --line: #444; --faint: #333;
          --soft: #262626; --hover: #20303a; --accent: #6cbcf0; }
  a { color: var(--accent); }
}
"""
"""For pages without pictures, whose background is white."""

SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const order = head.ariaSort === "ascending" ? "descending" : "ascending";
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      head.ariaSort = order;
      const key = row => row.cells[column].textContent.replaceAll(",", "");
      const compare = (a, b) => {
        const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y) || key(a).localeCompare(key(b));
        return x - y;
      };
      const rows = [...body.rows].sort(compare);
      body.append(...(order === "ascending" ? rows : rows.reverse()));
    });
  });
}
"""


def policy(script: str, *others: str) -> str:
    """Return the policy of a page with one script of its own; ``others`` are allowed sources."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    scripts = " ".join([f"'sha256-{digest}'", *others])
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src {scripts}"
    )


POLICY = policy(SCRIPT)
TITLE = "The human-numbers notebook, reproduced"
LONG = 60
"""Cells with at least so many characters are broken into lines."""


def page(markdown: str, folder: Path, title: str = TITLE) -> str:
    """Return a report's markdown as an HTML page that contains the pictures in ``folder``."""
    body = re.sub(
        r'<img src="([\w.-]+\.png)"', lambda m: _inlined(folder / m[1]), as_html(markdown)
    )
    return document(f"{body}<script>{SCRIPT}</script>\n", title=title)


def as_html(markdown: str, *, without: Sequence[str] = ()) -> str:
    """Return markdown as the body of a page; ``without`` names markdown-it's rules to leave out."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable([*without])
    body = parser.render(markdown)
    body = body.replace("<table>", '<div class="table"><table>')
    body = body.replace("</table>", "</table></div>")
    body = re.sub(rf"<td([^>]*)>([^<]{{{LONG},}})</td>", r'<td class="long"\1>\2</td>', body)
    for tag in ("th", "td"):  # as markdown-it writes them, for many thousand cells
        body = body.replace(f'<{tag} style="text-align:right">', f'<{tag} class="number">')
        body = body.replace(f'<{tag} style="text-align:left">', f"<{tag}>")
    return re.sub(r"<h2>(Model\d)</h2>", lambda m: f'<h2 id="{m[1].lower()}">{m[1]}</h2>', body)


def document(body: str, *, title: str = TITLE, style: str = STYLE, policy: str = POLICY) -> str:
    """Return a whole page; ``body`` ends with its scripts, which the policy allows."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{style}</style>\n</head>\n<body>\n{body}"
        "</body>\n</html>\n"
    )


def _inlined(picture: Path) -> str:
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    return f'<img src="data:image/png;base64,{data}"'
