"""Files that are written on any file system, and read only where they are files."""

from __future__ import annotations

import errno
import io
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.store import files
from bench.store.files import UnfitFileError, read_regular, write_whole
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, Store
from reports.history import nights as history
from tests.history_data import made_up_history
from tests.killed_writers import measurement, sample

TABLES = [RUNS, EPOCHS, THROUGHPUT]
LIMIT = 1000


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    """Each test starts as a process does: nothing was said."""
    files.say_once.cache_clear()


def refuse(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    """Have a call of the operating system answer with an error."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, name, refused)


@pytest.mark.parametrize("code", files.NOT_FLUSHABLE)
def test_a_folder_that_cannot_be_flushed(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be flushed, all is stored, and one line says what that means."""
    refuse(monkeypatch, "fsync", code)
    store = Store(tmp_path / "results")
    store.prepare(TABLES)
    for seed in range(3):
        store.write(sample(seed))
    store.write_measurement(measurement())
    ids = {sample(seed).run_id for seed in range(3)}
    assert store.finished(ids) == ids
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{store.folder}: this file system cannot flush files to the disk" in error


def test_no_permissions_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has the permissions that any new file has: none are set, which may be forbidden."""
    for name in ("chmod", "fchmod"):
        refuse(monkeypatch, name, errno.EPERM)
    write_whole(tmp_path / "ours", b"")
    (tmp_path / "usual").touch()
    modes = [(tmp_path / name).stat().st_mode for name in ("ours", "usual")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_fails(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk itself is one, before training and while a run is stored."""
    store = Store(tmp_path)
    store.prepare()
    refuse(monkeypatch, "fsync", code)
    with pytest.raises(OSError, match=os.strerror(code)):
        store.write(sample(0))
    assert list(tmp_path.rglob("*.part")) == list(tmp_path.rglob("*.parquet")) == []
    with pytest.raises(StoreError, match=rf"cannot write to .*\({os.strerror(code)}\): name one"):
        store.prepare()


def test_a_folder_without_renames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be renamed, one line says so before anything is trained."""
    refuse(monkeypatch, "replace", errno.EPERM)
    with pytest.raises(StoreError, match=r"\(Operation not permitted\): name one that"):
        Store(tmp_path).prepare()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_on_another_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table's folder may be a file system of its own: its files are then renamed within it."""
    replace = os.replace

    def as_between_disks(source: Path, target: Path) -> None:
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, target)

    monkeypatch.setattr(os, "replace", as_between_disks)
    store = Store(tmp_path)
    store.prepare()
    store.write(sample(0))
    assert store.finished([sample(0).run_id]) == {sample(0).run_id}
    assert list(tmp_path.rglob("*.part")) == []


def test_nothing_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error cannot be written to either, all is stored all the same."""
    refuse(monkeypatch, "fsync", errno.EINVAL)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("write", ["store", "history"])
def test_no_reader_meets_a_temporary_file(
    write: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that takes all files of a folder, as polars does, finds only whole parquet files."""
    seen: list[str] = []
    fsync = os.fsync

    def look(handle: int) -> None:
        seen.extend(path.name for path in tmp_path.glob("*/*"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", look)
    if write == "store":
        store = Store(tmp_path)
        store.prepare(TABLES)
        store.write(sample(0))
        store.write_measurement(measurement())
    else:
        history.append(tmp_path / "history", made_up_history(1))
    assert seen
    assert {Path(name).suffix for name in seen} == {".parquet"}


def test_leftovers_of_a_history(tmp_path: Path) -> None:
    """What killed writers left in and beside a history is gone after a day."""
    (tmp_path / "history").mkdir()
    names = ["history/.night.abc.part", ".history.abc.part", ".history.new.part", ".x.part"]
    old = time.time() - files.LEFTOVER_SECONDS - 60
    for name in names:
        (tmp_path / name).touch()
        if "new" not in name:
            os.utime(tmp_path / name, (old, old))
    history.append(tmp_path / "history", made_up_history(1))
    assert [name for name in names if (tmp_path / name).exists()] == names[2:]


def make(kind: str, path: Path) -> None:
    """Put something at a path that is no regular file, or a large one."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)  # a socket's name may not be long
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    elif kind == "endless":
        path.symlink_to("/proc/self/maps")
    else:
        path.write_bytes(bytes(LIMIT + 1))


WORDS = {
    "pipe": "it is a pipe, not a regular file",
    "socket": "it is a socket, not a regular file",
    "folder": "it is a folder, not a regular file",
    "device": "it is a device, not a regular file",
    "huge": "it is larger than",
    "large": "it is larger than",
    "endless": "it is larger than",
}


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices")
@pytest.mark.parametrize("kind", WORDS)
def test_only_regular_files_are_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe, socket, device or folder is never opened, and of a file no more than the limit."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    make(kind, path)
    with pytest.raises(UnfitFileError, match=WORDS[kind]):
        read_regular(path, LIMIT)


def test_regular_files_are_read(tmp_path: Path) -> None:
    """A file of the largest size is read, by way of a link too; a link to nowhere is an error."""
    (tmp_path / "file").write_bytes(bytes(LIMIT))
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("none")
    assert read_regular(tmp_path / "link", LIMIT) == bytes(LIMIT)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nowhere", LIMIT)
