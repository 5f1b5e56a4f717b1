"""Which files of a night are pushed to the branch for the nights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bench.store.files import seal
from reports.ci import __main__ as night
from reports.ci import keeping
from reports.runs.untrusted_files import LARGEST_PAGE
from tests.escaping import check_terminal
from tests.frozen_data import freeze, parquet, text_of, write_tables

HISTORY = f"history/20260102T030400Z-{'a' * 20}.parquet"
LATER = f"history/20260103T030400Z-{'b' * 20}.parquet"
OTHER = f"history/20260104T030400Z-{'c' * 20}.parquet"
GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clone of a repository in which a night and a baseline are kept."""
    monkeypatch.setattr(keeping, "WAITS", (0, 0, 0))
    origin, kept = tmp_path / "origin", tmp_path / "kept"
    subprocess.run([*GIT, "init", "--quiet", "--bare", "-b", "nights", origin], check=True)
    subprocess.run([*GIT, "clone", "--quiet", origin, kept], check=True, stderr=subprocess.PIPE)
    write(kept, HISTORY, text="old")
    freeze(kept / "baseline", "old", "2026-01-02T00:00:00Z")
    push(kept)
    return kept


def write(folder: Path, *names: str, text: str) -> None:
    """Write stand-in files, which nothing parses."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(parquet(text))


def push(clone: Path) -> None:
    """Commit and push what is in a clone."""
    subprocess.run([*GIT, "-C", clone, "add", "--all"], check=True)
    subprocess.run([*GIT, "-C", clone, "commit", "--quiet", "-m", "Nights"], check=True)
    subprocess.run([*GIT, "-C", clone, "push", "--quiet", "origin", "HEAD"], check=True)


def pushed(tmp_path: Path) -> Path:
    """Return a new clone of the repository."""
    clone = tmp_path / f"clone{len(list(tmp_path.iterdir()))}"
    subprocess.run([*GIT, "clone", "--quiet", tmp_path / "origin", clone], check=True)
    return clone


def keep(tmp_path: Path, *more: str) -> int:
    """Keep the night."""
    folders = ["--night", str(tmp_path / "night"), "--kept", str(tmp_path / "kept")]
    return night.main(["keep", *folders, *more])


def names(folder: Path) -> set[str]:
    """Return the files of the history."""
    files = (path for path in (folder / "history").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files}


@pytest.mark.usefixtures("kept")
def test_keep(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Only new nights and a newer baseline are pushed; no old night is replaced."""
    there = tmp_path / "night"
    write(there, HISTORY, LATER, text="new")
    write(there, ".git/config", "history/x.parquet", "baseline/more.txt", text="new")
    write(there, "history/\x1b[31m\n::error::x", text="new")
    freeze(there / "baseline", "new", "2026-01-03T00:00:00Z")
    assert keep(tmp_path, "--freeze") == 0
    found = pushed(tmp_path)
    assert names(found) == {HISTORY, LATER}
    assert (found / HISTORY).read_bytes() == parquet("old")
    assert text_of(found / "baseline") == "new"
    assert {path.name for path in found.iterdir()} == {".git", "history", "baseline"}
    assert not (found / "baseline" / "more.txt").exists()
    check_terminal(capfd.readouterr().err)
    assert keep(tmp_path, "--freeze") == 0
    assert "nothing new to keep" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("day", "options", "taken"),
    [("2026-01-03", ["--freeze"], True), ("2026-01-01", ["--freeze"], False),
     ("2026-01-02", ["--freeze"], False), ("2026-01-03", [], False)],
)  # fmt: skip
@pytest.mark.usefixtures("kept")
def test_which_baseline_is_taken(
    day: str, options: list[str], *, taken: bool, tmp_path: Path
) -> None:
    """A kept baseline is replaced only by a newer one from a night that was told to freeze."""
    freeze(tmp_path / "night" / "baseline", "new", f"{day}T00:00:00Z")
    assert keep(tmp_path, *options) == 0
    assert text_of(pushed(tmp_path) / "baseline") == ("new" if taken else "old")


def test_the_first_baseline(tmp_path: Path, kept: Path) -> None:
    """The first whole baseline is kept without being asked for; a damaged one is reported."""
    subprocess.run([*GIT, "-C", kept, "rm", "-r", "--quiet", "baseline"], check=True)
    push(kept)
    write_tables(tmp_path / "night" / "baseline", "new")
    assert keep(tmp_path) == 1
    assert not (pushed(tmp_path) / "baseline").exists()
    freeze(tmp_path / "night" / "baseline", "new")
    assert keep(tmp_path) == 0
    assert text_of(pushed(tmp_path) / "baseline") == "new"


@pytest.mark.parametrize("damage", ["nothing", "empty", "cut", "no manifest"])
@pytest.mark.usefixtures("kept")
def test_a_damaged_baseline_replaces_none(
    damage: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An artifact without a whole baseline leaves the kept one; its history is kept all the same.

    The exit code says that something was damaged, but for a night without any file of one.
    """
    baseline = tmp_path / "night" / "baseline"
    baseline.mkdir(parents=True)
    if damage != "nothing":
        freeze(baseline, "new", "2027-01-01T00:00:00Z")
    runs = baseline / "runs" / "runs.parquet"
    if damage in ("empty", "cut"):
        os.truncate(runs, 0 if damage == "empty" else runs.stat().st_size - 9)
    if damage == "no manifest":
        (baseline / "frozen.json").unlink()
    write(tmp_path / "night", LATER, text="new")
    assert keep(tmp_path, "--freeze") == (damage != "nothing")
    assert ("not kept: " in capfd.readouterr().err) == (damage != "nothing")
    found = pushed(tmp_path)
    assert text_of(found / "baseline") == "old"
    assert names(found) == {HISTORY, LATER}


@pytest.mark.usefixtures("kept")
def test_damaged_history(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A night's file that is cut, changed or a link is named and left out; the rest are kept."""
    write(tmp_path / "night", LATER, OTHER, text="new")
    changed = seal(b"PAR1" + bytes(4) + b"PAR1").replace(b"PAR1", b"PAR2", 1)
    (tmp_path / "night" / LATER).write_bytes(changed)
    link = tmp_path / "night" / LATER.replace("b", "d")
    link.symlink_to(tmp_path / "night" / OTHER)
    assert keep(tmp_path) == 1
    assert names(pushed(tmp_path)) == {HISTORY, OTHER}
    assert capfd.readouterr().err.count("not kept: ") == 2


@pytest.mark.usefixtures("kept")
def test_pages_on_verdicts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A page goes with its night, unless it is too large; an accepted shift comes by no night."""
    page, large = (
        name.replace("history", "history/_verdicts").replace(".parquet", ".md")
        for name in (LATER, OTHER)
    )
    shift = "history/_accepted/20260102T030400Z.json"
    others = page.replace(".md", ".parquet"), LATER.replace(".parquet", ".md")
    write(tmp_path / "night", page, large, shift, *others, text="new")
    (tmp_path / "night" / large).write_bytes(b"x" * (LARGEST_PAGE + 1))
    assert keep(tmp_path) == 1
    assert names(pushed(tmp_path)) == {HISTORY, page}
    error = capfd.readouterr().err
    assert "it is larger than 1 MiB" in error
    for name in (shift, *others):
        assert f"skipped: {name!r}" in error


@pytest.mark.usefixtures("kept")
def test_another_night_was_pushed_meanwhile(tmp_path: Path) -> None:
    """A rejected push is tried again on top of the other night, and both are there."""
    other = pushed(tmp_path)
    write(other, OTHER, text="new")
    push(other)
    write(tmp_path / "night", LATER, text="new")
    assert keep(tmp_path) == 0
    assert names(pushed(tmp_path)) == {HISTORY, LATER, OTHER}


@pytest.mark.usefixtures("kept")
def test_another_baseline_was_pushed_meanwhile(tmp_path: Path) -> None:
    """What is kept is decided again after a rejected push: a newer baseline stays."""
    other = pushed(tmp_path)
    freeze(other / "baseline", "other", "2026-01-04T00:00:00Z")
    push(other)
    write(tmp_path / "night", LATER, text="new")
    freeze(tmp_path / "night" / "baseline", "new", "2026-01-03T00:00:00Z")
    assert keep(tmp_path, "--freeze") == 0
    found = pushed(tmp_path)
    assert names(found) == {HISTORY, LATER}
    assert text_of(found / "baseline") == "other"


@pytest.mark.usefixtures("kept")
def test_a_push_that_is_always_rejected(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """After the last try the exit code is 1, and one line says which command failed."""
    hook = tmp_path / "origin" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    write(tmp_path / "night", LATER, text="new")
    assert keep(tmp_path) == 1
    error = capfd.readouterr().err
    assert error.count(" push --quiet origin HEAD\n") == 3
    assert error.splitlines()[-1].endswith(" push --quiet origin HEAD` failed with exit code 1")
