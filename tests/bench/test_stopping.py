"""``bench run`` that is stopped: what was finished is there, and a line says how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.engines import local
from bench.engines.ledger import Ledger
from bench.engines.tasks import Task
from bench.engines.work import Display, Finished, Halted, Trainer
from bench.store.records import Record, Run
from bench.store.store import Store
from tests.nights import are_gone, ignored_signals, processes_below

# A job in the background inherits that SIGINT is ignored; then there would be no Ctrl-C to test.
WITH_SIGINT = """
import signal, sys
from bench.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
MODEL4 = ["run", "--variants", "Model4", "--backends", "notebook"]
MANY = [*MODEL4, "--profile", "smoke", "--seeds", "30"]


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_leaves_a_readable_store(tmp_path: Path) -> None:
    """After Ctrl-C what was finished is there, no process is, and a line says so.

    Ctrl-C goes to the workers too, as from a terminal.
    """
    results = tmp_path / "results"
    arguments = [*MANY, "--jobs", "1", "--results", str(results)]
    with subprocess.Popen(
        [sys.executable, "-c", WITH_SIGINT, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("1/30"):
                break
        below = processes_below(process.pid)
        assert [ignored_signals(worker) >> (signal.SIGINT - 1) & 1 for worker in below] == [1]
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "the same command continues from there" in rest
    assert "Traceback" not in rest
    assert are_gone(below)
    assert 1 <= whole_runs(results) < 30


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.usefixtures("in_process")
def test_sigterm_leaves_a_readable_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After SIGTERM what was finished is there, and a line says so."""
    carry_out = Trainer.carry_out

    def terminated(trainer: Trainer, task: Task) -> tuple[Record, ...]:
        if task[0].seed == 2:
            signal.raise_signal(signal.SIGTERM)
        return carry_out(trainer, task)

    monkeypatch.setattr(Trainer, "carry_out", terminated)
    results = tmp_path / "results"
    assert main([*MANY, "--results", str(results)]) == 143
    assert "the same command continues from there" in capsys.readouterr().err
    assert whole_runs(results) == 2


def whole_runs(results: Path) -> int:
    """Return how many runs are stored; fail where anything else is."""
    contents = Store(results).read()
    assert contents.unreadable == {}
    assert list(results.rglob("*.part")) == []
    assert contents.runs["epoch_rows"].sum() == len(contents.epochs)
    return len(contents.runs)


def test_halted_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A night that is ended early says in one line why, how much is left, and exits with 1."""

    def run_all(
        runs: list[Run], _: Trainer, ledger: Ledger, *, display: Display, **__: object
    ) -> None:
        assert ledger.fail_fast
        display.show([], [Finished(runs[0], "failed")])
        raise Halted("a run failed, and --fail-fast was given")

    monkeypatch.setattr(local, "run_all", run_all)
    command = [*MODEL4, "--seeds", "3", "--fail-fast"]
    assert main([*command, "--results", str(tmp_path / "results")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2].endswith("1 failed: Model4 nn seed 0")
    assert lines[-1] == (
        "stopped: a run failed, and --fail-fast was given; 2 runs not done: "
        "the same command continues from there"
    )
