"""What a command of ``python -m reports`` refuses with one line and exit code 2."""

from __future__ import annotations

import errno
from pathlib import Path


class UsageError(Exception):
    """An argument that cannot be served, with what would be right."""


class OutputError(Exception):
    """The output folder cannot be used, with what would be right."""


class UnwrittenError(Exception):
    """What was made cannot be written, with what to do: the disk is full, or read-only."""

    def __init__(self, folder: Path, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "free some space" if full else "name a folder that you may write to"
        super().__init__(f"cannot write to {folder} ({error.strerror}): {what}")
