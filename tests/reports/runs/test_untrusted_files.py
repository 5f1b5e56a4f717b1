"""Files of another machine: read where they are regular, whole and sealed, refused otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.store.files import seal
from reports.runs import untrusted_files
from tests.frozen_data import parquet


def test_what_is_read(tmp_path: Path) -> None:
    """A sealed file is read as it is."""
    (tmp_path / "a.parquet").write_bytes(parquet("a"))
    assert untrusted_files.read_sealed(tmp_path / "a.parquet") == parquet("a")


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    """A FIFO, a device, a folder, a link and an oversized file are refused at once."""
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", untrusted_files.LARGEST + 1)
    refused = [tmp_path / "fifo", tmp_path / "link", tmp_path / "huge", tmp_path]
    for path in (*refused, Path("/dev/zero")):
        with pytest.raises(OSError, match=r"not a regular file|Too many levels|larger than|Is a"):
            untrusted_files.read(path)


SOUND = parquet("a")
DAMAGED = {
    "empty": b"",
    "no seal": b"PAR1" + bytes(4) + b"PAR1",
    "changed": SOUND.replace(b"a", b"b", 1),
    "cut": SOUND[:-1],
    "no head": b"PAR2" + SOUND[4:],
    "sealed, but no parquet": seal(b"PART" + bytes(4) + b"PART"),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=[*DAMAGED])
def test_what_is_not_whole(content: bytes, tmp_path: Path) -> None:
    """A file without a seal, or with one that does not fit, is refused."""
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(OSError, match=r"a\.parquet"):
        untrusted_files.read_sealed(tmp_path / "a.parquet")
