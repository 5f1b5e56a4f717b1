"""The options of all commands: which values they take, and how they refuse others."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest

from bench.__main__ import main as bench
from bench.store import store
from hnrnn.arguments import (
    STORE_FOLDERS,
    Number,
    WholeNumber,
    any_path,
    filled,
    folder,
    output_file,
    output_folder,
)
from reports.__main__ import main as reports
from tests.command_line import Main, Option, exit_code, options

OPTIONS = list(options())
PATHS = (any_path, folder, output_folder, output_file)
LONG = "9" * 5000
NO_NUMBERS = [
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0x1",
    "1_0",
    "٣",
    "一",
    LONG,
    "\0",
    "\n",
]
NO_WHOLE_NUMBERS = ["0", "99999999999", "1.5", "1e3"]
NO_PATHS = ["", " ", "\t\n", "nul\0byte", LONG, "/".join(["d" * 200] * 30), "file/below"]
NO_FOLDERS = ["file"]
IN_A_STORE = [
    "results/runs",
    "results/epochs/below",
    "results/unreadable/a/b",
    "results/throughput/",
    "results/report/../runs",
    "link/report",
    "timed/throughput",
    "timed/runs",
]


def bad_values(option: Option) -> list[str]:
    """Return values that an option must refuse before anything is done."""
    kind, values = option.action.type, ["--"]
    if isinstance(kind, (WholeNumber, Number)):
        values += NO_NUMBERS
    if isinstance(kind, WholeNumber):
        values += NO_WHOLE_NUMBERS
    if kind in PATHS:
        values += NO_PATHS
    if kind in (folder, output_folder):
        values += NO_FOLDERS
    if kind in (output_folder, output_file):
        below = "/night.csv" if kind is output_file else ""
        values += [name + below for name in IN_A_STORE]
    if kind is filled:
        values += ["", " "]
    if option.action.choices:
        values += ["none of them", "\x1b[31m\n::error::x"]
    return values


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with an empty store, a store with measurements only, a file and a link."""
    monkeypatch.chdir(tmp_path)
    for name in ("results/runs", "results/epochs", "timed/throughput"):
        Path(name).mkdir(parents=True)
    Path("timed/throughput/1.parquet").touch()
    Path("file").write_text("mine")
    Path("link").symlink_to("results/epochs")
    return tmp_path


@pytest.mark.parametrize("option", OPTIONS, ids=map(str, OPTIONS))
def test_bad_values(option: Option, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is one short line with the option's name and exit code 2, and nothing is written."""
    before = sorted(here.rglob("*"))
    for value in bad_values(option):
        assert exit_code(option.main, option.given(value)) == 2, value
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1, value
        assert output.err[:-1].isprintable()
        assert f"{option.flag}" in output.err
        assert len(output.err) < 1200
    assert sorted(here.rglob("*")) == before
    assert Path("file").read_text() == "mine"


def test_every_option_has_a_type() -> None:
    """A number has limits that the help states, a path is checked; the rest are choices or names.

    Names are checked by what they name: variants, backends, seeds and injected faults.
    """
    kinds = (WholeNumber, Number)
    for option in OPTIONS:
        kind, metavar = option.action.type, option.action.metavar
        if isinstance(kind, kinds):
            assert "%(type)s" in str(option.action.help), option
        elif metavar in ("DIR", "FILE", "PATH"):
            assert kind in PATHS, option
        else:
            assert kind in (None, filled), option
            assert metavar not in ("N", "X", "P", "POINTS"), option
    assert sum(isinstance(option.action.type, kinds) for option in OPTIONS) == 17
    assert sum(option.action.type in PATHS for option in OPTIONS) > 25


def test_help_and_message_state_the_limits(capsys: pytest.CaptureFixture[str]) -> None:
    """The limits in the help are those that are enforced."""
    assert exit_code(bench, ["throughput", "--help"]) == 0
    assert "rounds of timing, 1 to 10,000; default" in " ".join(capsys.readouterr().out.split())
    assert exit_code(bench, ["throughput", "--rounds", "99999999999"]) == 2
    assert capsys.readouterr().err == (
        "python -m bench throughput: --rounds must be a whole number from 1 to 10,000, not "
        "99999999999 (see python -m bench throughput --help)\n"
    )
    assert exit_code(reports, ["power", "--power", "1"]) == 2
    assert "--power must be a number from 0.25 to 0.999, not 1 (see" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("+7", 7), ("0010", 10)])
def test_whole_numbers(text: str, value: int) -> None:
    """Both limits are included."""
    assert WholeNumber(1, 10)(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("0.25", 0.25), ("1", 1), (".5", 0.5), ("5e-1", 0.5), ("2.5E-1", 0.25)]
)
def test_numbers(text: str, value: float) -> None:
    """Both limits are included, and the usual forms are understood."""
    assert Number(0.25, 1)(text) == value


@pytest.mark.parametrize(
    ("main", "words", "right"),
    [
        (
            reports,
            ["check", "--history", ""],
            "--history must name a folder: it is empty (an unset",
        ),
        (reports, ["render", "--output", "file"], "--output must name a folder: file is a file"),
        (reports, ["check", "--findings", "file/a"], "must name a file or folder: file is a file"),
        (reports, ["check", "--history", LONG], "999 ... (File name too long)"),
        (bench, ["run", "--data", "a\0b"], "not a\\x00b (embedded null byte)"),
        (
            reports,
            ["check", "--history", "results/runs"],
            "/results/runs, where a results folder keeps its own files",
        ),
        (
            bench,
            ["ensemble-timing", "--output", "file"],
            "--output must name a new file in a folder that",
        ),
        (bench, ["run", "--ray-address", ""], "--ray-address must have a value: it is empty"),
        (bench, ["run", "--seeds", "٣"], "is not a seed or a range"),
        (bench, ["run", "--results=--"], "--results must have a value, not --"),
    ],
)
@pytest.mark.usefixtures("here")
def test_messages(
    main: Main, words: list[str], right: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the option, and says what is wrong and what would be right."""
    assert exit_code(main, words) == 2
    assert right in capsys.readouterr().err


def test_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in a folder without search permission is refused with the reason."""

    def refuse(path: str, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)
    for kind in PATHS:
        with pytest.raises(argparse.ArgumentTypeError, match=r"locked \(Permission denied\)"):
            kind("locked")


@pytest.mark.usefixtures("here")
def test_folders_beside_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that only share a name with the store's are allowed."""
    Path("mine/runs/first").mkdir(parents=True)
    for name in ("results", "results/report", "results/confirmation", "mine/runs/first", "runs"):
        assert output_folder(name) == Path(name)
    monkeypatch.chdir("results/runs")
    with pytest.raises(argparse.ArgumentTypeError, match="keeps its own files"):
        output_folder("report")


def test_the_stores_own_folders() -> None:
    """``STORE_FOLDERS`` are the folders that the store makes."""
    assert set(STORE_FOLDERS) == {store.RUNS, store.EPOCHS, store.THROUGHPUT, store.UNREADABLE}
