"""Parquet files on a disk: whole or not there at all, and sealed, so that damage is noticed.

Parquet's own checksums are of the pages alone: one changed bit in a footer can empty a file or
shift its times. A seal is a SHA-256 of the whole file, between its pages and its footer, where no
reader looks: a sealed file is a parquet file to every reader.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SEAL = b"\x00hnrnn sha256 of the rest:\x00"
DIGEST_BYTES = hashlib.sha256().digest_size
TAIL_BYTES = 8
"""The footer's length, and parquet's mark."""
LEFTOVER_SECONDS = 24 * 3600


def seal(content: bytes) -> bytes:
    """Return a parquet file's content with its checksum."""
    footer_bytes = int.from_bytes(content[-TAIL_BYTES : 4 - TAIL_BYTES], "little")
    place = len(content) - TAIL_BYTES - footer_bytes
    return content[:place] + SEAL + hashlib.sha256(content).digest() + content[place:]


def is_changed(content: bytes) -> bool:
    """Say whether a file's content is another than was sealed; False where it has no seal.

    Files from before there were seals have none.
    """
    place = content.rfind(SEAL)
    if place < 0:
        return False
    start = place + len(SEAL)
    rest = content[:place] + content[start + DIGEST_BYTES :]
    return hashlib.sha256(rest).digest() != content[start : start + DIGEST_BYTES]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it.

    A reader sees it whole or not at all. The folder must be there. Raises OSError where it cannot
    be written to; ``path`` is then as it was.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder under temporary names more than a day ago.

    A file is written in a moment, so that one of yesterday is no living writer's. Should the clock
    jump just then, the other's write fails, and its run is done again.
    """
    for path in folder.glob(".*.part"):
        with suppress(FileNotFoundError):  # another process was quicker
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                path.unlink()


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none where there is no folder.

    Raises OSError for a folder that cannot be read, which ``Path.glob`` takes for an empty one.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []


def _flush_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable, where the system can (POSIX)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
