"""The progress display."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from bench.engines.progress import ProgressDisplay
from bench.engines.work import Finished, Site
from bench.store.records import ENSEMBLE, FAILED, OK
from tests.conftest import small_run
from tests.trainers import ENVIRONMENT

SITE = Site("cpu", ENVIRONMENT, 1)
FIRST = "1 run: 0 stored already in results, 1 to do on cpu (a processor)"
PART = "one seed at a time: 1 configuration, 1 seed, 1 run, 0 stored already, 1 to do"
PLAN = (
    f"{PART}, 0 s of one worker",
    "together: about 11 s with 1 worker (as an AMD EPYC core takes), up to 0.6 GiB of memory",
)


def shown(*, terminal: bool) -> str:
    """Return what is written while two runs are done, one of which fails."""
    runs = [small_run("Model4", 0), small_run("Model5", 1)]
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=150)
    with ProgressDisplay(console=console) as display:
        display.begin(runs, runs, SITE, Path("results"))
        display.show(runs, [])
        display.bar.refresh()
        display.show(runs[1:], [Finished(runs[0], OK, accuracy=0.25, total_seconds=1.5)])
        display.say("a [line]")
        display.show([], [Finished(runs[1], FAILED, error="RuntimeError: [faulty]")])
    return file.getvalue()


def test_plain_lines() -> None:
    """Without a terminal every run is a line: count, name, result, time, time left."""
    lines = shown(terminal=False).splitlines()
    assert lines.pop(0).startswith("2 runs: 0 stored already in results, 2 to do on cpu")
    assert [line.partition(":")[0] for line in lines[:2]] == ["one seed at a time", "together"]
    del lines[:2]
    assert lines[0].startswith("1/2  Model4 nn seed 0  accuracy 0.2500  1.5 s  (")
    assert lines[0].endswith("left)")
    assert lines[1] == "a [line]"
    assert lines[2] == "Model5 nn seed 1: failed, RuntimeError: [faulty]"
    assert len(lines) == 3


def test_bar() -> None:
    """On a terminal the bar says what is running, how many are done, and the time left."""
    text = shown(terminal=True)
    for part in ("0/2 runs", "2/2 runs", "Model4 nn seed 0; Model5 nn seed 1", "left"):
        assert part in text
    assert "RuntimeError: [faulty]" in text


def test_ensemble_is_one_label() -> None:
    """What is running together is named together."""
    runs = [small_run("Model4", seed, backend=ENSEMBLE) for seed in range(3)]
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=150)
    with ProgressDisplay(console=console) as display:
        display.begin(runs, runs, SITE, Path("results"))
        display.show(runs, [])
        display.bar.refresh()
    assert "Model4 ensemble, 3 seeds" in file.getvalue()
    assert "seed 1" not in file.getvalue()


def test_time_left_of_an_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that were trained together took their time together: the first of them not all of it."""
    now = iter([0.0, *[60.0] * 40])
    monkeypatch.setattr("bench.engines.progress.time.monotonic", lambda: next(now))
    runs = [small_run("Model4", seed, backend=ENSEMBLE) for seed in range(40)]
    file = io.StringIO()
    with ProgressDisplay(console=Console(file=file, width=150)) as display:
        display.begin(runs, runs, SITE, Path("results"))
        display.show(runs[32:], [Finished(run, OK, accuracy=0.25) for run in runs[:32]])
    lines = file.getvalue().splitlines()[3:]
    assert lines[0].startswith("1/40  Model4 ensemble seed 0")
    assert lines[31].startswith("32/40  Model4 ensemble seed 31")
    assert all(line.endswith("(15 s left)") for line in lines)


def test_an_error_is_one_line() -> None:
    """An error of several lines, of which one would be a command of the CI's, is one line."""
    run = small_run("Model4", 0)
    file = io.StringIO()
    with ProgressDisplay(["a note"], Console(file=file, width=150)) as display:
        display.begin([run, run], [run], SITE, Path("results"))
        display.show([], [Finished(run, FAILED, error="RuntimeError: injected\n::error::\x1b[31m")])
        display.say("x\n::error::y")
    lines = file.getvalue().splitlines()
    assert lines[:2] == ["a note", FIRST.replace("1 run: 0", "2 runs: 1")]
    assert lines[-2:] == [
        "Model4 nn seed 0: failed, RuntimeError: injected ::error::\\x1b[31m",
        "x ::error::y",
    ]


LINE = "1/1  Model4 nn seed 0  accuracy 0.2500  1.5 s  (0 s left)"


def show_one_run(file: TextIO, terminal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Show a run's end on ``file`` as stderr, in an environment that asks for colours."""
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setattr(sys, "stderr", file)
    run = small_run("Model4", 0)
    with ProgressDisplay() as display:
        display.begin([run], [run], SITE, Path("results"))
        display.show([], [Finished(run, OK, accuracy=0.25, total_seconds=1.5)])


def test_a_file_is_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a CI system says of colours, a log has a line for each run and no escape codes."""
    log = tmp_path / "log"
    with log.open("w") as file:
        show_one_run(file, "xterm", monkeypatch)
    assert log.read_text().splitlines() == [FIRST, *PLAN, LINE]


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize(
    ("terminal", "live"), [("dumb", False), ("unknown", False), ("xterm", True)]
)
def test_a_terminal(terminal: str, *, live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that can only add lines gets one for each run; another gets a bar."""
    ours, its = os.openpty()
    with os.fdopen(its, "w") as file:
        show_one_run(file, terminal, monkeypatch)
        shown = ""
        while "left)" not in shown and "1/1 run" not in shown:
            shown += os.read(ours, 100_000).decode()
    os.close(ours)
    assert ("\x1b" in shown) == live
    assert (shown.splitlines() == [FIRST, *PLAN, LINE]) != live
