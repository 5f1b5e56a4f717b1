"""What a nightly CI does around the training: measuring, judging, and what fails meanwhile."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.store.parquet import as_table, write_file
from bench.store.schemas import THROUGHPUT_SCHEMA
from reports.ci import __main__ as night
from reports.ci import issue
from reports.runs import frozen
from tests.frozen_data import freeze, text_of, write_tables
from tests.made_up import throughput_rows

COMMAND = ["python", "-m", "bench", "run", "--seeds", "200-399"]
VERDICTS = {0: "agrees", 1: "regressed", 3: "incomplete", 4: "inconclusive"}


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@dataclass
class Commands:
    """Stands in for the commands that ``judge`` carries out, and notes them."""

    folder: Path
    calls: list[list[str]] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    """What a command ends with, if not with 0."""
    suspected: bool = False
    """Whether the first check asks for fresh seeds."""
    verdicts: dict[int, str] = field(default_factory=lambda: dict(VERDICTS))
    by_published: bool = False
    """Whether the published seeds decide on the notebook."""
    tables: Callable[[Path], None] = lambda folder: write_tables(folder, "new")

    def run(self, words: list[str], **_: Any) -> int:
        """Carry out a command."""
        assert words[:3] == [sys.executable, "-P", "-m"]
        self.calls.append(words[3:])
        name = words[4]
        code = self.codes.get(name, 0)
        if name == "check" and self.suspected:
            self.suspected = False
            self.write(4, COMMAND)
            return 4
        if name == "check" and code in self.verdicts:
            self.write(code)
        if name == "baseline" and not code:
            self.tables(Path(words[-1]))
        return code

    def write(self, code: int, command: list[str] | None = None) -> None:
        """Write the verdict that belongs to an exit code."""
        content = {"verdict": VERDICTS[code], "exit_code": code, "confirmation_command": command}
        content["by_published"] = self.by_published
        (self.folder / "results" / "report").mkdir(parents=True, exist_ok=True)
        path = self.folder / "results" / "report" / "verdict.json"
        path.write_text(json.dumps(content))

    @property
    def names(self) -> list[str]:
        """The commands' names, in order."""
        return [words[1] for words in self.calls]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Stand in for what is carried out; a night with a measurement."""
    commands = Commands(tmp_path)
    write_tables(tmp_path / "results", "tonight")
    monkeypatch.setattr(night, "run", commands.run)
    return commands


def judge(folder: Path, *more: str) -> int:
    """Judge the night."""
    folders = ["--results", str(folder / "results"), "--kept", str(folder / "nights")]
    return night.main(["judge", *folders, *more])


def titles(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the titles of the issues that are opened for the night."""
    found: list[str] = []

    def run(words: list[str], **_: Any) -> int:
        found.extend(words[i + 1] for i, word in enumerate(words) if word == "--title")
        return 0

    monkeypatch.setattr(issue, "run", run)
    monkeypatch.setattr(issue, "output", lambda _: "[]")
    arguments = ["--profile=nightly", "--seeds=-1,2", "--device=cpu", "--backends=ensemble"]
    assert night.main(["tell", f"--report={folder / 'results' / 'report'}", *arguments]) == 0
    return [title.split(": ")[1] for title in found]


def test_judge(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kept baseline is the gate; with --freeze the notebook is, and the night replaces it."""
    kept = tmp_path / "nights"
    assert judge(tmp_path) == 0
    assert commands.names == ["check", "render", "baseline"]
    assert text_of(kept / "baseline") == "new"
    commands.calls.clear()
    freeze(kept / "baseline", "old")
    assert judge(tmp_path) == 0
    against = ["--baseline", str(kept / "baseline")]
    assert commands.names == ["check", "render"]
    assert all(words[-2:] == against for words in commands.calls)
    assert text_of(kept / "baseline") == "old"
    commands.calls.clear()
    assert judge(tmp_path, "--freeze") == 0
    assert commands.names == ["check", "render", "baseline"]
    assert not any("--baseline" in words for words in commands.calls)
    assert text_of(kept / "baseline") == "new"
    assert [path.name for path in kept.iterdir()] == ["baseline"]
    assert titles(tmp_path, monkeypatch) == []


def test_confirmation(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspicion is trained again on the named device; the last check counts."""
    freeze(tmp_path / "nights" / "baseline", "old")
    commands.suspected, commands.codes["check"] = True, 1
    assert judge(tmp_path, "--device", "cuda") == 1
    assert commands.names == ["check", "run", "check", "render"]
    assert commands.calls[1] == [*COMMAND[2:], "--device", "cuda"]
    assert titles(tmp_path, monkeypatch) == ["regressed"]


FAILURES: dict[str, tuple[dict[str, int], int, str]] = {
    "check crashes with 1": ({"check": 1}, 70, "no verdict"),
    "check crashes with 70": ({"check": 70}, 70, "no verdict"),
    "check is killed": ({"check": 137}, 137, "no verdict"),
    "check refuses": ({"check": 2}, 2, "no verdict"),
    "check says 0 without a verdict": ({"check": 0}, 70, "no verdict"),
    "fresh seeds cannot be trained": ({"run": 2}, 3, "incomplete"),
    "a fresh seed fails": ({"run": 1}, 3, "incomplete"),
    "render crashes": ({"render": 1}, 3, "incomplete"),
    "render crashes on a bad night": ({"render": 1, "check": 1}, 1, "regressed"),
    "freeze refuses": ({"baseline": 2}, 3, "incomplete"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=[*FAILURES])
def test_whatever_fails_is_seen(
    failure: tuple[dict[str, int], int, str],
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command of the night that fails is seen in the exit code and opens an issue.

    No baseline is put in place.
    """
    commands.codes, expected, title = failure
    if title == "no verdict":
        commands.verdicts = {}
    commands.suspected = "run" in commands.codes
    assert judge(tmp_path) == expected
    assert titles(tmp_path, monkeypatch) == [title]
    assert not (tmp_path / "nights" / "baseline").exists()


def test_what_an_earlier_call_left_does_not_count(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that is killed, or whose check says nothing, does not end as the one before it."""
    assert judge(tmp_path) == 0
    commands.verdicts = {}
    assert judge(tmp_path) == 70

    def killed(*_: object, **__: object) -> int:
        raise Killed

    commands.write(0)
    commands.verdicts = VERDICTS
    assert judge(tmp_path) == 0
    with monkeypatch.context() as patch:
        patch.setattr(night, "run", killed)
        with pytest.raises(Killed):
            judge(tmp_path)
    commands.write(0)  # as a check that was still running might
    assert titles(tmp_path, monkeypatch) == ["incomplete"]


def test_few_seeds_become_no_baseline(tmp_path: Path, commands: Commands) -> None:
    """A night that agrees by the published seeds alone is not frozen; this is not a problem."""
    commands.by_published = True
    assert judge(tmp_path) == 0
    assert commands.names == ["check", "render"]


def test_a_freeze_loses_no_timing(
    tmp_path: Path, commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    """A night in which all timing failed replaces no baseline that was timed."""
    freeze(tmp_path / "nights" / "baseline", "old")
    rows = throughput_rows({"nn": 2.0}).tail(1).assign(status="failed")
    path = tmp_path / "results" / "throughput" / "throughput.parquet"
    write_file(path, as_table(rows, THROUGHPUT_SCHEMA))
    assert judge(tmp_path, "--freeze") == 3
    assert "unlike the kept one, the night was not timed" in capsys.readouterr().err
    assert "baseline" not in commands.names
    assert text_of(tmp_path / "nights" / "baseline") == "old"


@pytest.mark.parametrize("missing", [*frozen.TABLES])
def test_a_freeze_that_is_not_whole(
    missing: str, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen set that lacks a table of the night replaces nothing and fails the night."""
    freeze(tmp_path / "nights" / "baseline", "old")

    def tables(folder: Path) -> None:
        write_tables(folder, "new")
        (folder / missing).unlink()

    commands.tables = tables
    assert judge(tmp_path, "--freeze") == 3
    assert text_of(tmp_path / "nights" / "baseline") == "old"
    assert titles(tmp_path, monkeypatch) == ["incomplete"]
    commands.tables = lambda folder: write_tables(folder, "new")
    assert judge(tmp_path, "--freeze") == 0
    assert text_of(tmp_path / "nights" / "baseline") == "new"


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_kill_at_any_moment(
    steps: int, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any step of a freeze, the next judge finds the old baseline or the new one."""
    freeze(tmp_path / "nights" / "baseline", "old")
    left = steps

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(shutil, "rmtree", counted(shutil.rmtree))
        patch.setattr(frozen, "write_whole", counted(frozen.write_whole))
        patch.setattr(night, "write_whole", counted(night.write_whole))
        patch.setattr(commands, "tables", counted(commands.tables))
        if steps < 7:
            with pytest.raises(Killed):
                judge(tmp_path, "--freeze")
            assert titles(tmp_path, monkeypatch) == ["incomplete"]
        else:
            assert judge(tmp_path, "--freeze") == 0
    commands.calls.clear()
    assert judge(tmp_path) == 0
    assert "--baseline" in commands.calls[0]
    assert text_of(tmp_path / "nights" / "baseline") == ("old" if steps < 5 else "new")
    assert [path.name for path in (tmp_path / "nights").iterdir()] == ["baseline"]


@pytest.mark.parametrize("table", frozen.TABLES)
def test_a_kept_baseline_that_lost_a_table(
    table: str, tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate does not pass silently if its records are gone from the kept baseline."""
    freeze(tmp_path / "nights" / "baseline", "old")
    (tmp_path / "nights" / "baseline" / table).unlink()
    assert judge(tmp_path) == 3
    assert commands.names == ["check", "render"]
    assert titles(tmp_path, monkeypatch) == ["incomplete"]


@pytest.mark.usefixtures("commands")
def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a full disk ``judge`` prints one line, exits with 70 and opens an issue."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(night, "write_whole", full)
    assert judge(tmp_path) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "python -m reports.ci: [Errno 28] No space left on device"
    assert titles(tmp_path, monkeypatch) == ["incomplete"]
