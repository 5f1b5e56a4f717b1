"""Checks that shown text holds only the project's own markup, commands and mentions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from markdown_it import MarkdownIt
from markdown_it.token import Token

from hnrnn.variants import VARIANTS
from reports.pages import html

LINKS = re.compile(r"#model\d")


PICTURES = re.compile(r"[\w-]+\.png")


MENTIONS = re.compile(r"@\w|#\d|https?://|www\.\w", re.IGNORECASE)


def tokens_of(markdown: str) -> Iterator[Token]:
    """Return every token, HTML being read as GitHub does."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown):
        yield token
        yield from token.children or []


def check_markdown(markdown: str) -> None:
    """Fail on HTML, links, pictures or mentions that are not the report's, and broken tables."""
    for token in tokens_of(markdown):
        assert token.type not in ("html_block", "html_inline"), token.content
        if token.type == "link_open":
            assert LINKS.fullmatch(str(token.attrs["href"])), token.attrs
        if token.type == "image":
            assert PICTURES.fullmatch(str(token.attrs["src"])), token.attrs
            assert "hostile" not in str(token.attrs["src"])
        if token.type == "text":
            assert not MENTIONS.search(token.content), token.content
        if token.type in ("code_block", "code_inline", "s_open"):
            assert "hostile" not in token.content
        if token.type == "fence":
            commands = token.content.splitlines()
            assert 1 <= len(commands) <= len(VARIANTS)
            assert all(shlex.split(c)[:4] == ["python", "-m", "bench", "run"] for c in commands)
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert len([h for h in headings if h.startswith("# ")]) <= 1
    check_tables(markdown)


def check_tables(markdown: str) -> None:
    """Fail where a row of a table has not as many cells as its header."""
    width = 0
    for line in markdown.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.count("|") - 1  # no cell has a bar of its own, escaped or not
        width = width or cells
        assert cells == width, line


@dataclass
class Page(HTMLParser):
    """Reads a page, and keeps its scripts and attributes."""

    scripts: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str, str]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    inside: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag and its attributes."""
        self.tags.add(tag)
        self.inside = tag == "script"
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """Keep a script's text."""
        if self.inside:
            self.scripts.append(data)
        self.inside = False


def check_html(text: str) -> None:
    """Fail on a script or an address that is none of the page's own, and on event attributes."""
    page = Page()
    page.feed(text)
    assert page.scripts == [html.SCRIPT]
    assert not page.tags & {"svg", "a href", "iframe", "object", "form", "base"}
    for tag, name, value in page.attributes:
        assert not name.startswith("on"), (tag, name)
        if name in ("href", "src"):
            assert re.match(r"#model\d$|data:image/png;base64,", value), (tag, value)


def check_terminal(text: str) -> None:
    """Fail on what a terminal or GitHub's runner would obey."""
    for line in text.splitlines():
        assert line.isprintable(), line
        assert not line.lstrip().startswith("::"), line
        assert "##[" not in line
