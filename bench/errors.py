"""The errors that a command reports in one line, with exit code 2."""

from __future__ import annotations


class UsageError(ValueError):
    """An argument is wrong; the message says what to do."""


class StoreError(Exception):
    """The results folder cannot be used; the message says what to do."""
