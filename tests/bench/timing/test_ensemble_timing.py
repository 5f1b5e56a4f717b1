"""One seed after the other beside an ensemble: order, seconds and the tables for people."""

from __future__ import annotations

import errno
from pathlib import Path

import pandas as pd
import pytest

from bench.__main__ import main
from bench.timing import ensemble_timing
from bench.timing.ensemble_timing import as_markdown, compare
from bench.timing.roofline import Peak, Work
from tests.command_line import exit_code

Calls = list[tuple[str, str, int, int, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Take round numbers of seconds for each epoch, and return what was called."""
    made: Calls = []

    def call(way: str, variant: str, seeds: int, epochs: int, device: str) -> float:
        made.append((way, variant, seeds, epochs, device))
        alone = {"Model0": 2.0, "Model4": 3.0}[variant] * epochs
        return alone if way == "notebook" else alone * seeds / (4 + len(made) % 2)

    monkeypatch.setattr(ensemble_timing, "_call", call)
    monkeypatch.setattr(ensemble_timing, "measure_peak", lambda _: Peak(2e9, 5e8))
    monkeypatch.setattr(
        ensemble_timing, "work_of_ensemble", lambda _, e, __: Work(3e9 * e, 1e9 * e)
    )
    monkeypatch.setattr(ensemble_timing, "operations_of_learner", lambda _, e: 7e9 * e)
    return made


def test_interleaved(calls: Calls) -> None:
    """After a first call of each, rounds go through the variants, in alternating order."""
    compare(["Model0", "Model4"], device="cpu", rounds=2, seeds=8, epochs=10, watch=print)
    assert calls[:4] == [
        ("notebook", "Model0", 1, 1, "cpu"),
        ("ensemble", "Model0", 8, 1, "cpu"),
        ("notebook", "Model4", 1, 1, "cpu"),
        ("ensemble", "Model4", 8, 1, "cpu"),
    ]
    assert [call[:4] for call in calls[4:]] == [
        ("notebook", "Model0", 1, 6),  # its recipe has no more epochs
        ("ensemble", "Model0", 8, 6),
        ("notebook", "Model4", 1, 10),
        ("ensemble", "Model4", 8, 10),
        ("ensemble", "Model0", 8, 6),
        ("notebook", "Model0", 1, 6),
        ("ensemble", "Model4", 8, 10),
        ("notebook", "Model4", 1, 10),
    ]


@pytest.mark.usefixtures("calls")
def test_table() -> None:
    """Seconds are a seed's, ratios those of each round, and floors those of the machine's peak."""
    timed = compare(["Model0", "Model4"], device="cpu", rounds=2, seeds=8, epochs=1, watch=print)
    lines = as_markdown(timed).splitlines()
    assert "| Model0 | 8 | 2.00 | 0.450 | 4.50 | 4.00 to 5.00 | 8,000 |" in lines
    assert "| together | 8 | 5.00 | 1.12 | 4.50 | 4.00 to 5.00 | 3,200 |" in lines
    assert "| Model4 | 7.0 | 3.0 | 1.50 | 1.0 | 2.00 |" in lines
    assert "| together | 14.0 | 6.0 | 3.00 | 2.0 | 4.00 |" in lines
    assert "reaches 2 GFLOP/s in a large product and 0 GB/s" in as_markdown(timed)
    widths = [line.count("|") for line in lines if line.startswith("|")]
    assert widths == [8] * 5 + [7] * 5


@pytest.mark.usefixtures("calls")
def test_one_variant_has_no_sum() -> None:
    """A single variant has no row for all together."""
    timed = compare(["Model4"], device="cpu", rounds=1, watch=print)
    assert "together" not in as_markdown(timed)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command trains for real, prints the table, and keeps every call's seconds."""
    path = tmp_path / "seconds.csv"
    command = ["ensemble-timing", "--variants", "Model0", "--device", "cpu", "--rounds", "1"]
    assert main([*command, "--seeds", "2", "--epochs", "1", "--output", str(path)]) == 0
    assert "| Model0 | 2 |" in capsys.readouterr().out
    frame = pd.read_csv(path)
    assert list(frame["backend"]) == ["custom", "ensemble"]
    assert list(frame["seeds"]) == [1, 2]
    assert (frame["wall_seconds"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        (["--rounds", "0"], "--rounds must be a whole number from 1 to 10,000, not 0"),
        (["--seeds", "4097"], "--seeds must be a whole number from 1 to 4,096, not 4097"),
        (["--epochs", "-1"], "--epochs must be a whole number from 1 to 1,000, not -1"),
        (["--variants", "Model9"], "choose from Model0, Model1"),
        (["--output", "no/such/folder/file.csv"], "a new file in a folder that exists"),
    ],
)
def test_wrong_usage(
    arguments: list[str], right: str, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is said in a line before anything is timed."""
    assert exit_code(main, ["ensemble-timing", *arguments]) == 2
    message = capsys.readouterr().err
    assert right in message
    assert message.count("\n") == 1
    assert not calls


def test_a_file_is_never_overwritten(
    tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str]
) -> None:
    """Seconds that were kept stay as they are."""
    path = tmp_path / "seconds.csv"
    path.write_text("kept")
    assert exit_code(main, ["ensemble-timing", "--output", str(path)]) == 2
    assert "must name a new file" in capsys.readouterr().err
    assert path.read_text() == "kept"
    assert not calls


@pytest.mark.usefixtures("calls")
def test_kept_before_it_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that cannot be printed are kept; those that cannot be kept are printed."""
    path, printed = tmp_path / "seconds.csv", []

    def print_late(timed: pd.DataFrame) -> str:
        printed.append((len(timed), path.exists()))
        return ""

    monkeypatch.setattr(ensemble_timing, "as_markdown", print_late)
    command = ["ensemble-timing", "--variants", "Model4", "--device", "cpu", "--output", str(path)]
    assert main(command) == 0
    assert printed == [(6, True)]
    path.unlink()
    monkeypatch.setattr("bench.commands.ensemble_timing.write_whole", refuse)
    assert main(command) == 2
    assert printed == [(6, True), (6, False)]


def refuse(*_: object) -> None:
    """Be a disk that is full."""
    raise OSError(errno.ENOSPC, "No space left on device")
