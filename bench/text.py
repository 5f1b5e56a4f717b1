"""Text from outside, fit to be shown: errors, file names and stored records are data."""

from __future__ import annotations

LONGEST = 1000
"""Characters of one text that are shown; an error may quote a whole program."""


def one_line(text: object) -> str:
    r"""Return a text as one line that neither a terminal nor a CI system obeys.

    White space becomes single spaces. Whatever else cannot be printed, such as control characters,
    what turns the direction of writing, and bytes of a file name that are no UTF-8, is written as
    Python escapes it (``\x1b``). GitHub Actions takes a line that starts with ``::``, and ``##[``
    anywhere, for a command: both are broken by a backslash. All that is left can stand in XML.
    """
    words = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else _escaped(c) for c in words[: LONGEST + 1])
    if len(shown) > LONGEST:
        shown = f"{shown[: LONGEST - 4]} ..."
    shown = shown.replace("##[", "#\\#[")
    return f"\\{shown}" if shown.startswith("::") else shown


def counted(count: int, noun: str) -> str:
    """Return the count with its noun, in the plural but for one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
