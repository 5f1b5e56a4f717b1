"""Files on a disk: written whole or not at all, sealed, and read only if they are regular.

Parquet's own checksums do not cover the footer. A seal is a SHA-256 of the whole file between its
pages and its footer, where no reader looks, so that a sealed file is an ordinary parquet file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

SEAL = b"\x00hnrnn sha256 of the rest:\x00"
DIGEST_BYTES = hashlib.sha256().digest_size
TAIL_BYTES = 8
"""The length of the footer and the mark of parquet, at the end of a file."""
LEFTOVER_SECONDS = 24 * 3600
PROBE = ".probe.parquet"
"""A file that is written and removed, to check that a folder can be written to."""
NOT_FLUSHABLE = (
    *(errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP),
    *(errno.EBADF, errno.EPERM, errno.ENOSYS),
)
"""The errors of ``fsync`` on file systems that cannot flush: older CIFS, vboxsf, gocryptfs."""
NOT_BESIDE = (errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
"""The errors if the place beside a folder is on another file system or not ours."""
KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class UnfitFileError(OSError):
    """A path is not a regular file, or the file is too large."""


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """Return the content of a regular file of at most ``largest_bytes``; links are followed.

    Raises UnfitFileError for anything else, which may block for ever, and OSError if the file
    cannot be read.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise UnfitFileError(f"it is a {KINDS.get(kind, 'special file')}, not a regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # The size alone is not enough: a file may grow, and those in /proc have size 0.
        content = b"" if size > largest_bytes else file.read(largest_bytes + 1)
    if max(size, len(content)) > largest_bytes:
        limit = f"{largest_bytes / 2**20:g} MiB"
        raise UnfitFileError(f"it is larger than {limit}, the most that is read")
    return content


def seal(content: bytes) -> bytes:
    """Return a parquet file's content with its checksum."""
    footer_bytes = int.from_bytes(content[-TAIL_BYTES : 4 - TAIL_BYTES], "little")
    place = len(content) - TAIL_BYTES - footer_bytes
    return content[:place] + SEAL + hashlib.sha256(content).digest() + content[place:]


def is_changed(content: bytes) -> bool:
    """Return whether a file was changed after it was sealed; False if it has no seal."""
    place = content.rfind(SEAL)
    if place < 0:
        return False
    start = place + len(SEAL)
    rest = content[:place] + content[start + DIGEST_BYTES :]
    return hashlib.sha256(rest).digest() != content[start : start + DIGEST_BYTES]


def write_whole(path: Path, content: bytes, *, beside: bool = False) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it.

    The folder must exist. With ``beside`` the temporary file is put beside the folder if possible,
    for readers that take every file in the folder. Raises OSError if the file cannot be written;
    ``path`` is then unchanged. A file system that cannot flush is reported, and no error.
    """
    if beside:
        try:
            _write_from(path.absolute().parent.parent, path, content)
        except OSError as error:
            if error.errno not in NOT_BESIDE:
                raise
        else:
            return
    _write_from(path.parent, path, content)


def _write_from(folder: Path, path: Path, content: bytes) -> None:
    temporary = folder / f"{_leftover_prefix(path.parent)}{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            _flush(file.fileno(), path.parent)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def _leftover_prefix(folder: Path) -> str:
    return f".{folder.absolute().name}."


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in and beside a folder a day ago."""
    beside = folder.absolute().parent.glob(f"{_leftover_prefix(folder)}*.part")
    for path in (*folder.glob(".*.part"), *beside):
        with suppress(FileNotFoundError):  # another process has removed it
            if time.time() - path.stat().st_mtime > LEFTOVER_SECONDS:
                path.unlink()


def list_names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted; none if the folder does not exist.

    Raises OSError if it cannot be read; ``Path.glob`` would return nothing.
    """
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []


@cache
def say_once(line: str) -> None:
    """Print a line to standard error, once per process, if standard error can be written."""
    with suppress(OSError, ValueError):  # it is full, or closed
        print(line, file=sys.stderr, flush=True)


def _flush(handle: int, folder: Path) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NOT_FLUSHABLE:
            raise
        say_once(
            f"{folder.absolute().parent}: this file system cannot flush files to the disk: "
            "after a power cut the last results may be missing"
        )


def _flush_folder(folder: Path) -> None:
    """Flush a rename in ``folder`` to the disk, on POSIX systems."""
    if os.name == "posix":
        try:
            handle = os.open(folder, os.O_RDONLY)
        except PermissionError:  # a folder may take files without being readable
            return
        try:
            _flush(handle, folder)
        finally:
            os.close(handle)
