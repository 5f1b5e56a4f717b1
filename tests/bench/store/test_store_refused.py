"""A store on a disk that is full, read-only, or not this user's."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.__main__ import main as bench
from bench.errors import StoreError
from bench.store.store import EPOCHS, RUNS, THROUGHPUT, UNREADABLE, Contents, Store
from hnrnn.program import UNWRITTEN
from reports.__main__ import main as reports
from reports.figures import models as figures
from tests.killed_writers import make_template, measurement, sample

pytestmark = pytest.mark.skipif(os.name != "posix", reason="mounts, limits and users of POSIX")

DISK_BYTES = 512 * 1024
DISK_FILES = 60
PAGE_BYTES = 4096
NOBODY = 65534
NEW = sample(9)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of half a megabyte, with a store in ``results``."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = f"size={DISK_BYTES},nr_inodes={DISK_FILES}"
    command = ["mount", "-t", "tmpfs", "-o", options, "hnrnn-test", str(folder)]
    if shutil.which("mount") is None:
        pytest.skip("no file system can be mounted here: there is no mount")
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.splitlines()[0]}")
    try:
        make_template(folder / "results")
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user can reach, with a store in ``results``; pytest's are one's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_template(folder / "results")
        yield folder


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user whom permissions bind: root is bound by none."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(NOBODY)
    except PermissionError:
        pytest.skip("this root may not become another user")
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Give a file or folder these permissions for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    try:
        yield
    finally:
        path.chmod(before)


def same(first: Contents, second: Contents) -> bool:
    """Say whether two stores hold the same, row by row."""
    return (
        first.runs.equals(second.runs)
        and first.epochs.equals(second.epochs)
        and first.throughput.equals(second.throughput)
        and first.unreadable == second.unreadable
    )


def attempt(store: Store, before: Contents) -> bool:
    """Write a run where there may be no room; return whether it was, with nothing lost either way.

    It is written whole, or an error says why not, and the store is as it was.
    """
    try:
        store.write(NEW)
    except OSError as error:
        assert error.strerror in ("No space left on device", "File too large")  # noqa: PT017
        assert same(store.read(), before)
        assert store.finished([NEW.run_id]) == set()
        assert len(list(store.folder.rglob(".*.part"))) == 1  # the template's own
        return False
    contents = store.read()
    assert len(contents.runs) == len(before.runs) + 1
    assert contents.unreadable == {}
    assert store.finished([NEW.run_id]) == {NEW.run_id}
    return True


@contextmanager
def only(free_bytes: int, disk: Path) -> Iterator[None]:
    """Fill the disk up to ``free_bytes`` for a while."""
    ballast = disk / "ballast"
    size = os.statvfs(disk).f_bavail * PAGE_BYTES - free_bytes
    ballast.write_bytes(bytes(size))
    try:
        yield
    finally:
        ballast.unlink()


def test_full_disk(disk: Path) -> None:
    """With any room from none to enough a run is stored whole, or not at all and said so."""
    store = Store(disk / "results")
    before = store.read()
    stored = []
    for pages in range(12):
        with only(pages * PAGE_BYTES, disk):
            stored.append(attempt(store, before))
        if stored[-1]:
            store.path(RUNS, NEW.run_id).unlink()
        store.path(EPOCHS, NEW.run_id).unlink(missing_ok=True)
    # Epochs take one page and a row four; at least those that are written together are tried.
    assert stored == sorted(stored)
    assert 4 <= stored.count(False) < len(stored)
    assert attempt(store, before)


def test_no_more_files(disk: Path) -> None:
    """Where no file can be made, that is said before anything is trained, and nothing is lost."""
    store = Store(disk / "results")
    path = store.path(EPOCHS, sample(0).run_id)
    path.write_bytes(path.read_bytes()[:-1])
    before = store.read()
    (disk / "ballast").mkdir()
    for number in range(os.statvfs(disk).f_favail):
        (disk / "ballast" / str(number)).touch()
    line = r"cannot write to results folder .*\(No space left on device\): name one"
    with pytest.raises(StoreError, match=line):
        store.prepare()
    with pytest.raises(StoreError, match=line):  # there is no room for the folder ``unreadable``
        store.finished([sample(0).run_id])
    assert not attempt(store, before)
    (disk / "ballast" / "0").unlink()
    assert attempt(store, before) is False  # the epochs' file, and none for the row
    shutil.rmtree(disk / "ballast")
    store.prepare()
    assert store.finished([sample(0).run_id, sample(1).run_id]) == {sample(1).run_id}


@pytest.mark.slow
def test_full_disk_of_measurement_and_compaction(disk: Path, tmp_path: Path) -> None:
    """A measurement or compacted store without room is one line, and the store is as it was."""
    store = Store(disk / "results")
    before = store.read()
    with only(0, disk):
        with pytest.raises(StoreError, match=r"\(No space left on device\): name one"):
            store.write_measurement(measurement())
        assert same(store.read(), before)
    whole = Store(store.compact(tmp_path / "compact")).read()
    copied = []
    for pages in range(16):
        with only(pages * PAGE_BYTES, disk):
            try:
                store.compact(disk / "compact")
            except StoreError as error:
                assert "(No space left on device): name one" in str(error)  # noqa: PT017
        there = list((disk / "compact").glob("*/*.parquet"))
        if there:
            contents = Store(disk / "compact").read()
            copied.append(same(contents, whole))
            assert copied[-1] or list(contents.unreadable) == ["runs/runs.parquet"]
        shutil.rmtree(disk / "compact", ignore_errors=True)
    assert copied == sorted(copied)
    assert set(copied) == {False, True}
    assert same(store.read(), before)


@pytest.mark.slow
def test_limit_of_file_size(tmp_path: Path) -> None:
    """A limit in the middle of a file, every 512 bytes of it, leaves the run whole or not there."""
    store = Store(tmp_path)
    make_template(tmp_path)
    before = store.read()
    stored = []
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in range(0, 20_000, 512):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            stored.append(attempt(store, before))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        if stored[-1]:
            break
        store.path(EPOCHS, NEW.run_id).unlink(missing_ok=True)
    assert stored[-1]
    assert len(stored) > 15


@pytest.fixture
def read_only(disk: Path) -> Path:
    """The disk, mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    return disk


@pytest.mark.slow
def test_read_only_disk(
    read_only: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a read-only disk a run is refused in one line; reports of it are written elsewhere."""
    monkeypatch.setattr(figures, "save", lambda _, path: path.write_bytes(b""))
    results = read_only / "results"
    before = Store(results).read()
    command = ["run", "--profile", "smoke", "--variants", "Model4", "--backends", "nn"]
    assert bench([*command, "--results", str(results)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot write to results folder {results} (Read-only file system): name one" in error
    for name in ("render", "check"):
        assert reports([name, "--results", str(results)]) == UNWRITTEN
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "(Read-only file system): name a folder that you may write to" in error
    assert reports(["render", "--results", str(results), "--output", str(tmp_path / "report")]) == 0
    assert "Model4" in (tmp_path / "report" / "report.md").read_text()
    assert bench(["compact", "--results", str(results), "--output", str(tmp_path / "copy")]) == 0
    assert len(Store(tmp_path / "copy").read().runs) == len(before.runs)
    assert same(Store(results).read(), before)


def test_folder_that_may_not_be_written(shared: Path) -> None:
    """A folder of another user's is one line before a run, an error after it, and as it was."""
    store = Store(shared / "results")
    before = store.read()
    with mode(store.folder / RUNS, 0o555), mode(store.folder / EPOCHS, 0o555), unprivileged():
        with pytest.raises(StoreError, match=r"\(Permission denied\): name one that you may write"):
            store.prepare()
        with pytest.raises(PermissionError):
            store.write(NEW)
        assert same(store.read(), before)


@pytest.mark.parametrize("table", [RUNS, EPOCHS, THROUGHPUT, UNREADABLE, "."])
def test_folder_that_may_not_be_listed(shared: Path, table: str) -> None:
    """A folder that cannot be listed is said to be so: it is not taken for an empty one."""
    store = Store(shared / "results")
    folder = store.folder / table
    folder.mkdir(exist_ok=True)
    with (
        mode(folder, 0o311),
        unprivileged(),
        pytest.raises(StoreError, match=r"\(Permission denied\): name one that you may read"),
    ):
        store.read()


def test_folder_that_may_not_be_entered(shared: Path) -> None:
    """A results folder behind a closed one is said to be so: it is not taken for one not made."""
    inner = Store(shared / "results" / RUNS)
    with mode(shared / "results", 0o600), unprivileged():
        with pytest.raises(StoreError, match=r"cannot read .*\(Permission denied\)"):
            inner.read()
        with pytest.raises(StoreError, match=r"cannot write to .*\(Permission denied\)"):
            inner.prepare()


def test_file_that_may_not_be_read(shared: Path) -> None:
    """A file that cannot be opened is named with the reason, and the others are read."""
    store = Store(shared / "results")
    path = store.path(RUNS, sample(0).run_id)
    with mode(path, 0o000), unprivileged():
        contents = store.read()
    assert "Permission denied" in contents.unreadable[f"{RUNS}/{path.name}"]
    assert len(contents.runs) == 2
