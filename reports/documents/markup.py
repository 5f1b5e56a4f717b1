"""HTML as the blocks that matter here, in order: tables, preformatted text and other text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Literal, NamedTuple

from reports.documents.grids import Grid

_BREAKS = frozenset("p div br li tr h1 h2 h3 h4 h5 h6 section ul ol hr".split())
_UNSEEN = frozenset("script style svg".split())


class Block(NamedTuple):
    """A table's grid, or the text of a ``pre`` element or of what stands between the others."""

    kind: Literal["table", "pre", "flow"]
    grid: Grid
    text: str


def blocks_of(html: str) -> list[Block]:
    """Return the blocks of a page or of a fragment, well-formed or not."""
    reader = _Reader()
    reader.feed(_closed(html))
    reader.close()
    reader.end_text("flow")
    reader.end_tables()
    return reader.blocks


def is_markup(text: str) -> bool:
    """Return whether a text has a table or a page of HTML in it."""
    return re.search(r"<(table|html|!doctype html)\b", text, re.IGNORECASE) is not None


def _closed(html: str) -> str:
    """Return HTML without marks that nothing closes: the parser would look for each one's end."""
    html = html.replace("<![", "")
    for mark, end in (("<!--", "-->"), ("<", ">")):
        rest = html.rfind(end) + 1
        html = html[:rest] + html[rest:].replace(mark, "")
    return html


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._tables: list[Grid] = []
        self._text: list[str] = []
        self._unseen = 0
        self._in_pre = False
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "table":
            self.end_text("flow")
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._in_cell = False
            self._tables[-1].append([])
        elif tag in ("td", "th") and self._tables:
            if not self._tables[-1]:
                self._tables[-1].append([])
            self._tables[-1][-1].append("")
            self._in_cell = True
        elif tag == "pre" and not self._tables:
            self.end_text("flow")
            self._in_pre = True
        elif (tag in _BREAKS and not self._in_pre) or tag == "br":
            self._text.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag == "table" and self._tables:
            self.blocks.append(Block("table", self._tables.pop(), ""))
            self._in_cell = False
        elif tag in ("td", "th", "tr"):
            self._in_cell = False
        elif tag == "pre" and self._in_pre:
            self.end_text("pre")
            self._in_pre = False
        elif tag in _BREAKS:
            self._text.append("\n")

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        if not self._tables:
            self._text.append(data)
        elif self._in_cell:
            row = self._tables[-1][-1]
            row[-1] = f"{row[-1]}{data}".strip()

    def end_text(self, kind: Literal["pre", "flow"]) -> None:
        """Put away the text so far."""
        text = "".join(self._text)
        self._text = []
        if text.strip():
            self.blocks.append(Block("pre" if self._in_pre else kind, [], text))

    def end_tables(self) -> None:
        """Put away tables that are not closed."""
        self.blocks += [Block("table", grid, "") for grid in reversed(self._tables)]
