"""Nights of made-up runs in real worker processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.engines.ledger import Ledger
from bench.engines.work import Display, Finished
from bench.store.records import Run
from bench.store.store import Store
from tests.trainers import ENVIRONMENT, PROVENANCE, FaultyTrainer, made_up_run

RUNS = [made_up_run(seed) for seed in range(4)]


class Lines(Display):
    """A display that remembers the lines that it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        """Remember the line."""
        self.lines.append(line)


class Night(Lines):
    """A night, with what was said and shown, and what is stored."""

    def __init__(
        self,
        folder: Path,
        faults: dict[int, tuple[str, ...]] | None = None,
        trainer: type[FaultyTrainer] = FaultyTrainer,
        **changes: Any,
    ) -> None:
        super().__init__()
        attempts = folder / "attempts"
        attempts.mkdir()
        self.trainer = trainer(PROVENANCE, folder=attempts, faults=faults or {}, **changes)
        self.shown: list[tuple[list[Run], Sequence[Finished]]] = []
        self.store = Store(folder / "results")
        self.store.prepare()

    def show(self, running: Sequence[Run], finished: Sequence[Finished]) -> None:
        """Remember what was shown, and call the ``watch`` of ``run``."""
        self.shown.append((list(running), finished))
        self.watch(list(running))

    @property
    def ended(self) -> dict[int, Finished]:
        """How each run that has ended did, by its seed."""
        return {each.run.seed: each for _, finished in self.shown for each in finished}

    def run(
        self,
        run_all: Callable[..., list[Finished]],
        runs: Sequence[Run] = RUNS,
        watch: Callable[[list[Run]], object] = len,
        **options: Any,
    ) -> list[str]:
        """Have an engine do the night, two tasks at a time; return how each run ended."""
        self.watch = watch
        of_ledger = {name: options.pop(name) for name in ("fail_fast", "limits") if name in options}
        ledger = Ledger(self.store, ENVIRONMENT, PROVENANCE, **of_ledger)
        arguments: dict[str, Any] = {"jobs": 2, "display": self}
        ended = run_all(runs, self.trainer, ledger, **(arguments | options))
        assert [each for _, finished in self.shown for each in finished] == ended
        assert sorted(str(each.run) for each in ended) == sorted(map(str, runs))
        statuses = {each.run: each.status for each in ended}
        return [statuses[run] for run in runs]

    def stored(self) -> pd.DataFrame:
        """Return what is stored, by seed."""
        contents = self.store.read()
        assert contents.unreadable == {}
        return contents.runs.set_index("seed").sort_index()


def processes_below(process: int) -> set[int]:
    """Return the ids of the processes that ``process`` has started, and theirs.

    That which multiprocessing keeps to clean up after others is not counted.
    """
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue  # it has ended
        if fields[0] != "Z" and "resource_tracker" not in command:
            parents[int(folder.name)] = int(fields[1])
    below: set[int] = set()
    while True:
        found = {child for child, parent in parents.items() if parent in {process, *below}} - below
        if not found:
            return below
        below |= found


def ignored_signals(process: int) -> int:
    """Return the signals that a process ignores, one bit for each, from SIGHUP's on."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("SigIgn:"))
    return int(mask, 16)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so; fail where that takes far too long."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def are_gone(processes: Sequence[int] | set[int]) -> bool:
    """Return whether none of the processes is there any more."""
    return not any(Path(f"/proc/{process}").exists() for process in processes)
