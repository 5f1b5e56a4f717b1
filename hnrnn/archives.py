"""Read named text files from a folder or archive that may be damaged or hostile.

Only the files that are asked for are read, and never more than the limits below, whatever an
archive's headers say. Every problem raises FilesError.
"""

from __future__ import annotations

import bz2
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

LARGEST_FILE = 4 * 2**20
"""The limit of one file in bytes; the corpus's larger file has 0.4 MB."""
LARGEST_ARCHIVE = 16 * 2**20
"""The limit of an archive in bytes, and of a tar archive after decompression."""
LARGEST_DICTIONARY = 128 * 2**20
"""The limit of memory, in bytes, that the header of an xz file may ask for."""
COMPRESSIONS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),  # 31: with gzip's header and checksum
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(memlimit=LARGEST_DICTIONARY),
}
"""The decompressors of tar archives by the first bytes of the file."""
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
"""The methods of zipfile without LZMA, whose header may ask for any amount of memory."""
ZIP_ENCRYPTED = 0x1
"""The bit of a member's flags that says that it is encrypted."""
MACOS_FOLDER = "__MACOSX"
"""The folder in which macOS's zip keeps attributes, under the names of the files."""
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""The exceptions of tarfile and zipfile on damaged archives; most are undocumented."""


class FilesError(ValueError):
    """The files cannot be read; the message is one line with the reason."""


def read_files(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the contents of the files ``names`` in a folder or an archive, by name.

    The files may be in ``path`` itself or in one folder inside it. Raises FilesError if a file is
    missing, there twice, unreadable, not regular, or larger than ``LARGEST_FILE``.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return _read_folder(path, names)
        if not stat.S_ISREG(mode):
            raise FilesError(f"{path} is neither a folder nor a file")
        content = _read_regular(path, LARGEST_ARCHIVE)
    except FileNotFoundError as error:
        raise FilesError(f"there is no {path}") from error
    except OSError as error:
        raise FilesError(f"cannot read {error.filename or path} ({error.strerror})") from error
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            return _read_zip(path, content, names)
        return _read_tar(path, content, names)
    except FilesError:
        raise
    except DAMAGE as error:
        raise FilesError(
            f"{path} is neither a folder nor a sound tar or zip archive ({type(error).__name__})"
        ) from error


def _read_folder(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Return the files of a folder, or, if it has none of them, those of a folder inside it."""
    places = [path]
    if not any(os.path.lexists(path / name) for name in names):
        below = (place for place in path.iterdir() if place.is_dir() and place.name != MACOS_FOLDER)
        places = sorted(below)
    found = [place / name for place in places for name in names if os.path.lexists(place / name)]
    _check_found(path, [str(file.relative_to(path)) for file in found], names)
    return {file.name: _read_regular(file, LARGEST_FILE) for file in found}


def _read_regular(path: Path, largest: int) -> bytes:
    """Return a file's content; raise FilesError if it is not regular or exceeds ``largest``."""
    if path.is_symlink() and not path.exists():
        raise FilesError(f"{path} is a link to nothing")
    if not path.is_file():  # a pipe or device may have no end
        raise FilesError(f"{path} is not a regular file")
    with path.open("rb") as file:
        return _within(largest, file.read(largest + 1), path)


def _within(largest: int, content: bytes, what: object) -> bytes:
    if len(content) > largest:
        raise FilesError(f"{what} is larger than {largest // 2**20} MiB")
    return content


def _check_found(path: Path, found: Iterable[str], names: Sequence[str]) -> None:
    """Raise FilesError unless ``found`` has each of ``names`` once, all in the same folder."""
    files = [PurePosixPath(name) for name in found]
    there = {file.name for file in files}
    if len(files) > len(there) or len({file.parent for file in files}) > 1:
        listed = ", ".join(sorted(map(str, files))[:4])
        raise FilesError(f"{path} holds more than one copy ({listed}): keep only one")
    missing = [name for name in names if name not in there]
    if missing:
        raise FilesError(f"{path} holds no {' and no '.join(missing)}")


def _are_meant(name: str, names: Sequence[str]) -> bool:
    """Return whether an archive's member has one of the names and is not in macOS's folder."""
    member = PurePosixPath(name)
    return member.name in names and MACOS_FOLDER not in member.parts


def _read_zip(path: Path, content: bytes, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [m for m in archive.infolist() if _are_meant(m.filename, names)]
        _check_found(path, [member.filename for member in members], names)
        for member in members:
            what = f"{member.filename} in {path}"
            if member.flag_bits & ZIP_ENCRYPTED:
                raise FilesError(f"{what} is encrypted")
            if member.compress_type not in ZIP_METHODS:
                raise FilesError(f"{what} is compressed by an unknown method; Deflate is known")
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise FilesError(f"{what} is a link or device, not a file")
            with archive.open(member) as file:
                unpacked = _within(LARGEST_FILE, file.read(LARGEST_FILE + 1), what)
            contents[PurePosixPath(member.filename).name] = unpacked
    return contents


def _read_tar(path: Path, content: bytes, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    # Decompressed here, because tarfile would decompress any amount.
    plain = io.BytesIO(_unpacked(path, content))
    with tarfile.open(fileobj=plain, mode="r:") as archive:
        members = [member for member in archive if _are_meant(member.name, names)]
        _check_found(path, [member.name for member in members], names)
        for member in members:
            what = f"{member.name} in {path}"
            file = archive.extractfile(member) if member.isfile() else None
            if file is None:
                raise FilesError(f"{what} is a link, folder or device, not a file")
            unpacked = _within(LARGEST_FILE, file.read(LARGEST_FILE + 1), what)
            contents[PurePosixPath(member.name).name] = unpacked
    return contents


def _unpacked(path: Path, content: bytes) -> bytes:
    """Return a tar archive decompressed; it may consist of several compressed streams."""
    unpacked = b""
    for start, make in COMPRESSIONS.items():
        while content.startswith(start):
            stream = make()
            unpacked += stream.decompress(content, LARGEST_ARCHIVE + 1 - len(unpacked))
            _within(LARGEST_ARCHIVE, unpacked, f"{path}, unpacked,")
            if not stream.eof:
                raise EOFError
            content = stream.unused_data
    return unpacked or content
