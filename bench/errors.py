"""What a command refuses with one line and exit code 2."""

from __future__ import annotations


class UsageError(ValueError):
    """An argument that cannot be served, with what would be right."""


class StoreError(Exception):
    """The results folder cannot be used, with what would be right."""
