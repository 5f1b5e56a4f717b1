"""Files that another machine made: read only where they are what they should be."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from bench.store.files import SEAL, is_changed

LARGEST = 100 * 2**20
"""Bytes of a file: GitHub takes none that is larger."""
MARK = b"PAR1"
"""What a parquet file starts and ends with."""


def read(path: Path) -> bytes:
    """Return a file's content; raise OSError where it is no regular file, or too large."""
    # A FIFO would block for ever while it is opened, and a link may lead anywhere.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  # pathlib takes no descriptor
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise OSError(f"{path} is not a regular file")
        if about.st_size > LARGEST:
            raise OSError(f"{path} is larger than {LARGEST} bytes")
        return file.read()


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's object; an empty one where there is none that can be read."""
    try:
        content = json.loads(read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_sealed(path: Path) -> bytes:
    """Return a parquet file's content; raise OSError where it is not one, whole and sealed."""
    content = read(path)
    if not (content.startswith(MARK) and content.endswith(MARK) and SEAL in content):
        raise OSError(f"{path} is not a whole, sealed parquet file")
    if is_changed(content):
        raise OSError(f"{path} was changed after it was written")
    return content
