"""Text for people. Errors, file names and stored records are made safe to print."""

from __future__ import annotations

LONGEST = 1000
"""The most characters of one text that are shown; an error may quote a whole program."""


def one_line(text: object, longest: int = LONGEST) -> str:
    r"""Return a text as one line that neither a terminal nor a CI system takes for a command.

    White space becomes single spaces. Other characters that are not printable, such as control
    characters and bytes of a file name that are not UTF-8, are escaped as in Python (``\x1b``).
    GitHub Actions takes a line that starts with ``::``, and ``##[`` anywhere, for a command, so a
    backslash is put into both. The result is valid in XML and has about ``longest`` characters at
    most.
    """
    words = " ".join(str(text).split())
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in words[: longest + 1]
    )
    if len(shown) > longest:
        shown = f"{shown[: longest - 4]} ..."
    shown = shown.replace("##[", "#\\#[")
    return f"\\{shown}" if shown.startswith("::") else shown


def counted(count: int, noun: str) -> str:
    """Return the count with its noun in the singular or plural."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def has_space(path: str) -> bool:
    """Return whether a path contains white space, which some compilers and launchers refuse."""
    return any(character.isspace() for character in path)
