"""Text for people: errors, file names and stored records are data, and are made safe to print."""

from __future__ import annotations

LONGEST = 1000
"""Characters of one text that are shown; an error may quote a whole program."""


def one_line(text: object, longest: int = LONGEST) -> str:
    r"""Return a text as one line that neither a terminal nor a CI system obeys.

    White space becomes single spaces. All else that is not printable, such as control characters,
    characters that change the writing direction, and bytes of a file name that are not UTF-8, is
    escaped as in Python (``\x1b``). GitHub Actions treats a line that starts with ``::``, and
    ``##[`` anywhere, as a command: a backslash breaks both. The result is valid in XML, and has
    about ``longest`` characters at most.
    """
    words = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else _escaped(c) for c in words[: longest + 1])
    if len(shown) > longest:
        shown = f"{shown[: longest - 4]} ..."
    shown = shown.replace("##[", "#\\#[")
    return f"\\{shown}" if shown.startswith("::") else shown


def counted(count: int, noun: str) -> str:
    """Return the count with its noun in the singular or plural."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def has_space(path: str) -> bool:
    """Return whether a path has white space in it, which some compilers and launchers refuse."""
    return any(character.isspace() for character in path)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
