"""Files on a disk: written whole or not there at all, sealed, and read only where that is safe.

Parquet's own checksums cover only the pages: one changed bit in a footer can empty a file or shift
its times. A seal is a SHA-256 of the whole file, between its pages and its footer, where no reader
looks: a sealed file is a parquet file to every reader.
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
from pathlib import Path

SEAL = b"\x00hnrnn sha256 of the rest:\x00"
DIGEST_BYTES = hashlib.sha256().digest_size
TAIL_BYTES = 8
"""The footer's length, and parquet's mark."""
LEFTOVER_SECONDS = 24 * 3600
PROBE = ".probe.parquet"
"""A file that is written, and removed again, to see whether a folder takes files."""
NOT_FLUSHABLE = (
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EBADF,
    errno.EPERM,
    errno.ENOSYS,
)
"""What file systems that cannot flush answer to ``fsync``: older CIFS, vboxsf, gocryptfs. An error
of the disk itself, such as EIO, ENOSPC or EDQUOT, is none of these."""
NOT_BESIDE = (errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS)
"""Why a temporary file cannot lie beside a folder: another file system, or another user's."""
KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}

_said: set[str] = set()


class UnfitFileError(OSError):
    """What a name leads to is no regular file, or too large to be what it should be."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


def read_regular(path: Path, largest_bytes: int) -> bytes:
    """Return the content of a regular file of at most ``largest_bytes``; links are followed.

    Nothing else is opened: a pipe would wait for ever, and a device has no end. Raises
    UnfitFileError, an OSError, for what is no such file, and OSError where it cannot be read.
    """
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise UnfitFileError(f"it is a {KINDS.get(kind, 'special file')}, not a regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # Not by the size alone: a file may grow, and those of /proc say that they are empty.
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
    """Say whether a file's content is another than was sealed; False where it has no seal.

    Files from before there were seals have none.
    """
    place = content.rfind(SEAL)
    if place < 0:
        return False
    start = place + len(SEAL)
    rest = content[:place] + content[start + DIGEST_BYTES :]
    return hashlib.sha256(rest).digest() != content[start : start + DIGEST_BYTES]


def write_whole(path: Path, content: bytes, *, beside: bool = False) -> None:
    """Write a file under a temporary name, flush it to the disk, and rename it.

    A reader sees it whole or not at all. With ``beside`` the temporary file lies beside the folder,
    for readers that take whatever is in the folder, and in it only where it must. The folder must
    be there. Raises OSError where it cannot be written to; ``path`` is then as it was. Where the
    file system cannot flush, the file is written all the same, and that is said once.
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
    """Write ``path`` by way of a temporary file in ``folder``."""
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
    """Remove what killed writers left in and beside a folder more than a day ago.

    A file is written in a moment, so that one of yesterday is no living writer's. Should the clock
    jump just then, the other's write fails, and its run is done again.
    """
    beside = folder.absolute().parent.glob(f"{_leftover_prefix(folder)}*.part")
    for path in (*folder.glob(".*.part"), *beside):
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


def say_once(line: str) -> None:
    """Print a line to standard error, once in a process; where nobody can read it, that is all."""
    if line not in _said:
        _said.add(line)
        with suppress(OSError, ValueError):  # it is full, or closed
            print(line, file=sys.stderr, flush=True)


def _flush(handle: int, folder: Path) -> None:
    """Make what was written durable, where the file system can; raise OSError where it fails."""
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
    """Make a rename in ``folder`` durable, where the system can (POSIX)."""
    if os.name == "posix":
        try:
            handle = os.open(folder, os.O_RDONLY)
        except PermissionError:  # files can be put into a folder that may not be listed
            return
        try:
            _flush(handle, folder)
        finally:
            os.close(handle)
