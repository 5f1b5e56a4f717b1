"""The errors of ``python -m reports``. Each is one line for people, and an exit code."""

from __future__ import annotations

import errno
from pathlib import Path


class UsageError(Exception):
    """An argument cannot be used; the message says what to do."""


class UnwrittenError(Exception):
    """A result cannot be written, because the disk is full or the place is no folder of ours."""

    def __init__(self, folder: Path, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "free some space" if full else "name a folder that you may write to"
        super().__init__(f"cannot write to {folder} ({error.strerror}): {what}")
