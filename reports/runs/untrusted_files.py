"""Files of another machine, which are read only if they are what they should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.store.files import SEAL, UnfitFileError, is_changed, read_regular

LARGEST = 100 * 2**20
"""The size of the largest file that GitHub takes, in bytes."""
LARGEST_PAGE = 2**20
"""The size of the largest page on a verdict that is kept and shown, in bytes."""
MARK = b"PAR1"
"""The first and the last bytes of a parquet file."""


def read(path: Path, largest: int = LARGEST) -> bytes:
    """Return a file's content; raise OSError unless it is a regular file of a sane size."""
    if path.is_symlink():  # it may lead anywhere
        raise OSError(f"{path} is a link, not a regular file")
    try:
        return read_regular(path, largest)
    except UnfitFileError as error:
        raise OSError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file, or an empty one if the file is missing or invalid."""
    try:
        content = json.loads(read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_sealed(path: Path) -> bytes:
    """Return a parquet file's content; raise OSError unless it is whole and sealed."""
    content = read(path)
    if not (content.startswith(MARK) and content.endswith(MARK) and SEAL in content):
        raise OSError(f"{path} is not a whole, sealed parquet file")
    if is_changed(content):
        raise OSError(f"{path} was changed after it was written")
    return content
