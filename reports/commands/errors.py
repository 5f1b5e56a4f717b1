"""What a command of ``python -m reports`` refuses with one line and exit code 2."""

from __future__ import annotations


class UsageError(Exception):
    """An argument that cannot be served, with what would be right."""


class OutputError(Exception):
    """The output folder cannot be used, with what would be right."""
