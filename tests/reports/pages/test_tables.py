"""Pieces of markdown: data in them stay data."""

from __future__ import annotations

import pytest

from bench.text import one_line
from reports.pages.tables import Markup, escape, table
from tests.escaping import check_markdown, tokens_of
from tests.hostile_data import VALUES


@pytest.mark.parametrize(
    "text",
    ["Model6 - Model5", "-", "-0.52", "+1.20", "0.4540 to 0.5113", "14 of 161", "custom_hoisted",
     "Linux-6.1.0-x86_64-with-glibc2.36", "Intel(R) Xeon(R) CPU @ 2.20GHz", "2026-01-02 03:04 UTC",
     "RuntimeError: at 12:30 it failed, 3/4 done; see above. Why?"],
)  # fmt: skip
def test_plain_text_stays(text: str) -> None:
    """Ordinary text of a report is not changed."""
    assert escape(text) == text


def test_only_markup_is_read() -> None:
    """A cell is plain text unless it is marked as markup."""
    link = "[Model1](#model1)"
    rows = table(["what", "value"], [[link, Markup(link)]], text=("what",)).splitlines()
    assert rows[0] == "| what | value |"
    assert rows[1] == "| :-- | --: |"
    assert rows[2] == f"| &#91;Model1&#93;(&#35;&#8288;model1) | {link} |"


@pytest.mark.parametrize("value", VALUES.values(), ids=[*VALUES])
def test_a_value_in_every_place_of_markdown(value: str) -> None:
    """A value is shown literally in a cell, a list, a heading, a sentence or on its own."""
    text = escape(value)
    for page in (
        table(["a", "b"], [[value, "c"]]),
        f"- {text}\n- {text}",
        f"## {text}",
        f"On {text}, and so on.",
        text,
    ):
        check_markdown(page)
        kinds = {token.type for token in tokens_of(page)}
        assert not kinds & {"em_open", "strong_open", "s_open", "hr", "blockquote_open", "fence"}
        assert sum(token.type == "list_item_open" for token in tokens_of(page)) in (0, 2)
        shown = "".join(t.content for t in tokens_of(page) if t.type == "text")
        assert one_line(value) in shown.replace("\u2060", "")
