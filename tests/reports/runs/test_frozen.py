"""A frozen baseline: whole or refused, newer or not, and put in place by renames."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from reports.runs import frozen
from reports.runs.frozen import MANIFEST, Manifest, NotWholeError
from tests.frozen_data import freeze, parquet, write_tables

RUNS = "runs/runs.parquet"


def _change(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[6] ^= 1
    path.write_bytes(content)


def _link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "changed": _change,
    "another, whole": lambda path: path.write_bytes(parquet("another")),
    "no seal": lambda path: path.write_bytes(b"PAR1" + bytes(4) + b"PAR1"),
    "a link": _link,
    "a FIFO": _fifo,
    "huge": lambda path: os.truncate(path, 2**40),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=[*DAMAGE])
@pytest.mark.parametrize("name", [*frozen.TABLES, MANIFEST])
def test_what_is_not_whole_is_refused(
    name: str, damage: Callable[[Path], object], tmp_path: Path
) -> None:
    """A baseline is refused if its manifest or a table is missing, damaged or does not match."""
    freeze(tmp_path, "old")
    assert set(frozen.examine(tmp_path).files) == set(frozen.TABLES)
    damage(tmp_path / name)
    with pytest.raises(NotWholeError):
        frozen.examine(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"frozen": "yesterday"}, {"frozen": 1}, {"workflow_run": "1"}, {"files": []}, {"more": 1}],
)
def test_a_manifest_of_something_else(change: dict[str, object], tmp_path: Path) -> None:
    """A file that is not a manifest is refused."""
    freeze(tmp_path, "old")
    content = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(content | change))
    with pytest.raises(NotWholeError):
        frozen.examine(tmp_path)


def test_a_file_too_many(tmp_path: Path) -> None:
    """A table file that the manifest does not name is refused, because it would be read too."""
    freeze(tmp_path, "old")
    (tmp_path / "runs" / "more.parquet").write_bytes(parquet("more"))
    with pytest.raises(NotWholeError, match=r"more\.parquet"):
        frozen.examine(tmp_path)


def test_what_is_frozen_is_complete(tmp_path: Path) -> None:
    """A baseline needs runs and epochs, and a measurement if the night has one."""
    write_tables(tmp_path, "new", throughput=False)
    with pytest.raises(NotWholeError, match="throughput"):
        frozen.complete(tmp_path, throughput=True)
    assert not (tmp_path / MANIFEST).exists()
    frozen.complete(tmp_path, throughput=False)
    (tmp_path / RUNS).unlink()
    with pytest.raises(NotWholeError, match="runs"):
        frozen.complete(tmp_path, throughput=False)


@pytest.mark.parametrize(
    ("ours", "theirs", "newer"),
    [(("2026-02-01", 0), ("2026-01-01", 0), True), (("2026-01-01", 0), ("2026-02-01", 0), False),
     (("2026-01-01", 0), ("2026-01-01", 0), False), (("2026-02-01", 7), ("2026-01-01", 8), False),
     (("2026-01-01", 8), ("2026-02-01", 7), True), (("2026-02-01", 7), ("2026-01-01", 7), True),
     (("2026-02-01", 0), ("2026-01-01", 8), True)],
)  # fmt: skip
def test_which_is_newer(ours: tuple[str, int], theirs: tuple[str, int], *, newer: bool) -> None:
    """The later workflow run is newer, even if an earlier one is run again after it."""
    a, b = (Manifest(f"{day}T00:00:00Z", run, {}) for day, run in (ours, theirs))
    assert a.is_newer(b) is newer
