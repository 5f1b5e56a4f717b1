"""``python -m reports check`` and ``baseline freeze``: from a store to a verdict."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.store.records import DIVERGED, FAILED, Record
from bench.store.store import Store
from hnrnn.program import UNWRITTEN
from hnrnn.variants import VARIANTS
from reports.__main__ import main
from tests.command_line import exit_code
from tests.made_up import contents_of, made_up_record, stored, with_outcome
from tests.made_up import notebook_night as night


def whole_night(seeds: int) -> list[Record]:
    """Return every variant on its own backend."""
    return [made_up_record(name, seed) for name in VARIANTS for seed in range(seeds)]


def whole_store(folder: Path, seeds: int = 3) -> Store:
    """Return a store of a whole night."""
    return stored(folder, whole_night(seeds))


def test_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A truncated file, a missing configuration and a failed run are named; the exit code is 3."""
    store = whole_store(tmp_path)
    for seed in range(3):
        for table in ("runs", "epochs"):
            store.path(table, made_up_record("Model6", seed).run_id).unlink()
    failed = with_outcome(made_up_record("Model0", 1), FAILED, "RuntimeError: injected")
    store.path("epochs", failed.run_id).unlink()
    store.write(failed)
    cut = store.path("epochs", made_up_record("Model3", 2).run_id)
    cut.write_bytes(cut.read_bytes()[:100])
    (tmp_path / "none.toml").touch()
    findings = ["--findings", str(tmp_path / "none.toml")]
    assert main(["check", "--results", str(tmp_path), *findings]) == 3
    output = capsys.readouterr().out
    assert output.startswith("incomplete:\n")
    assert f"unreadable file: epochs/{cut.name}" in output
    assert "failed run: Model0 custom seed 1: RuntimeError: injected" in output
    assert "missing configuration: Model6 cell has no runs" in output
    assert {path.name for path in (tmp_path / "report").iterdir()} == {
        "verdict.json",
        "verdict.xml",
        "verdict.md",
    }


def test_check_against_a_frozen_baseline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A night that repeats a frozen one agrees with it, and every file says so."""
    first = contents_of(whole_night(20))
    Store(tmp_path / "first").write_contents(first)
    night, frozen = str(tmp_path / "night"), str(tmp_path / "frozen")
    command = ["baseline", "freeze", "--results", str(tmp_path / "first"), "--output", frozen]
    assert main(command) == 0
    later = first.runs.assign(started_at=first.runs["started_at"] + pd.Timedelta(days=1))
    Store(night).write_contents(replace(first, runs=later))
    assert main(["check", "--results", night, "--baseline", frozen]) == 0
    assert ". No mean differs from the baseline's\n" in capsys.readouterr().out
    text = (tmp_path / "night" / "report" / "verdict.md").read_text(encoding="utf-8")
    assert "160 runs, all with the same weights as in the baseline." in text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"epochs": 1}, "short runs: no run went through the full recipe: 8 runs of 1 epoch"),
        ({"injected_fault": "lr_times_3"}, "injected fault: 8 runs trained with lr_times_3"),
        ({"status": "diverged"}, "diverged: every run of Model0 custom diverged"),
    ],
)
def test_what_cannot_be_a_baseline(
    options: dict[str, Any], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A smoke night, one with a fault in every run, and one that diverged are refused."""
    contents = contents_of(made_up_record(name, 0, **options) for name in VARIANTS)
    if options.get("status") == DIVERGED:
        contents = replace(contents, epochs=contents.epochs.assign(valid_loss=math.inf))
    Store(tmp_path / "night").write_contents(contents)
    freeze = ["baseline", "freeze", "--results", str(tmp_path / "night")]
    assert main([*freeze, "--output", str(tmp_path / "frozen")]) == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "frozen").exists()


def test_confirmation_folder_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs in the results folder's ``confirmation`` are read by default."""
    whole_store(tmp_path / "night")
    (tmp_path / "night" / "confirmation").mkdir()
    assert main(["check", "--results", str(tmp_path / "night")]) == 2
    assert "confirmation holds no runs folder" in capsys.readouterr().err


def test_confirmation_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The suggested command stores fresh seeds where the next check looks for them."""
    Store(tmp_path / "night").write_contents(night(60, start=100, moved={"Model5": 0.3}))
    Store(tmp_path / "frozen").write_contents(night(60))
    (tmp_path / "none.toml").touch()
    check = ["check", "--results", str(tmp_path / "night"), "--baseline", str(tmp_path / "frozen")]
    check += ["--findings", str(tmp_path / "none.toml")]
    assert main(check) == 4
    (command,) = [x for x in capsys.readouterr().out.splitlines() if "bench run" in x]
    fresh = str(tmp_path / "night" / "confirmation")
    assert shlex.split(command)[-2:] == ["--results", fresh]
    Store(fresh).write_contents(night(60, start=300))
    assert main(check) == 0


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["check", "--results", "nowhere"], "`python -m bench run --results nowhere` makes one"),
        (
            ["check", "--baseline", "nowhere"],
            "`python -m reports baseline freeze --output nowhere`",
        ),
        (
            ["check", "--confirmation", "nowhere"],
            "check: no folder nowhere of fresh seeds: run the command that `check` printed",
        ),
        (["check", "--resultz", "nowhere"], "reports check: unrecognized arguments: --resultz"),
        (["check", "--findings", "nowhere.toml"], "cannot read findings from nowhere.toml"),
        (["check", "--output", "file"], "--output must name a folder: file is a file"),
        (
            ["baseline", "freeze", "--output", "frozen"],
            "reports baseline freeze: results cannot be a baseline",
        ),
        (["baseline", "freeze", "--output", "frozen"], "complete it with `python -m bench run`"),
    ],
)
def test_bad_input_to_check(
    arguments: list[str],
    right: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Bad input is one line that says what would be right, and exit code 2."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    store = whole_store(Path("results"), 1)
    store.path("runs", made_up_record("Model6", 0).run_id).unlink()
    assert exit_code(main, arguments) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert right in error
    assert Path("file").read_text() == "mine"
    assert not Path("frozen").exists()


def test_only_a_new_folder_is_frozen_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another file or a baseline there is refused; a place that cannot be written to is 74."""
    whole_store(tmp_path / "night")
    freeze = ["baseline", "freeze", "--results", str(tmp_path / "night"), "--output"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    assert main([*freeze, str(tmp_path / "mine")]) == 2
    assert "mine is not new, because it holds thesis.tex" in capsys.readouterr().err
    assert main([*freeze, str(tmp_path / "frozen")]) == 0
    assert main([*freeze, str(tmp_path / "frozen")]) == 2
    assert "frozen holds a store already: name a new folder" in capsys.readouterr().err
    assert main([*freeze, "/proc/x"]) == UNWRITTEN
    assert "cannot write to /proc/x (No such file or directory)" in capsys.readouterr().err


def test_unreadable_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A baseline with a broken file is a usage error that names the file."""
    whole_store(tmp_path / "night")
    night, frozen = str(tmp_path / "night"), tmp_path / "frozen"
    assert main(["baseline", "freeze", "--results", night, "--output", str(frozen)]) == 0
    path = frozen / "epochs" / "epochs.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    assert main(["check", "--results", night, "--baseline", str(frozen)]) == 2
    assert "cannot be read: epochs/epochs.parquet" in capsys.readouterr().err


@pytest.mark.usefixtures("blank_pictures")
def test_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A check appends its night once, and render shows the history with one picture per variant."""
    whole_store(tmp_path / "night")
    night, past = str(tmp_path / "night"), str(tmp_path / "history")
    for _ in range(2):
        main(["check", "--results", night, "--history", past])
    assert "appended" in capsys.readouterr().err
    assert len(pd.read_parquet(tmp_path / "history")) == 8
    (page,) = (tmp_path / "history").glob("*/*.md")
    assert page.read_text(encoding="utf-8").startswith("## Verdict")
    assert main(["render", "--results", night, "--history", past]) == 0
    report = (tmp_path / "night" / "report" / "report.md").read_text(encoding="utf-8")
    assert "## History" in report
    names = re.findall(r"!\[.*?trend by night\]\((.*?)\)", report)
    assert names == [f"trend-{name}.png" for name in VARIANTS]
    assert all((tmp_path / "night" / "report" / name).exists() for name in names)


def test_history_of_an_empty_night(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A night without runs is refused in one line, and no file is written."""
    Store(tmp_path / "night").prepare()
    past = tmp_path / "history"
    command = ["check", "--results", str(tmp_path / "night"), "--history", str(past)]
    assert main(command) == 2
    assert "nothing to append to history" in capsys.readouterr().err
    assert not past.exists()
