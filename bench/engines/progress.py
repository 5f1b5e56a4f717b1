"""What a person sees while runs are trained: a live bar, or plain lines without a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.engines.work import Finished
from bench.plan.plan import expected_cost
from bench.store.records import LEARNER, OK, SKIPPED, Run
from bench.text import one_line

DUMB_TERMINALS = ("dumb", "unknown")
"""Values of ``TERM`` for terminals that can only add lines."""


def stderr_console() -> Console:
    """Return a console on stderr that redraws only what a terminal can redraw.

    ``FORCE_COLOR`` and its like, which CI systems set, make no terminal of a file.
    """
    live = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in DUMB_TERMINALS
    return Console(stderr=True, soft_wrap=True, force_terminal=live, force_interactive=live)


class ProgressDisplay:
    """A context manager that is called as an engine goes along (its ``Watcher``)."""

    def __init__(self, runs: Sequence[Run], console: Console | None = None) -> None:
        self.console = console or stderr_console()
        self.run_count = len(runs)
        self.done_count = 0
        self.total_cost = sum(expected_cost(run) for run in runs)
        self.done_cost = 0.0
        self.start = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.fields[counts]}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.fields[running]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        self.bar.start()
        self.task = self.bar.add_task("", total=self.total_cost, **self._texts([]))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def __call__(self, running: Sequence[Run], finished: Sequence[Finished]) -> None:
        """Show what is running; count the runs that have finished and say how each ended."""
        # All costs first: those that were trained together took their time together.
        self.done_cost += sum(expected_cost(each.run) for each in finished)
        for each in finished:
            self.done_count += 1
            if each.status == SKIPPED:
                pass  # the closing line says why, once
            elif each.status != OK:
                reason = escape(one_line(each.error))
                label = escape(each.run.label)
                self.console.print(f"{label}: {each.status}, {reason}", highlight=False)
            elif not self.console.is_terminal:
                self.console.print(self._line(each), highlight=False)
        self.bar.update(self.task, completed=self.done_cost, **self._texts(running))

    def say(self, line: str) -> None:
        """Show a line that is about no finished run."""
        self.console.print(escape(one_line(line)), highlight=False)

    def _texts(self, running: Sequence[Run]) -> dict[str, Any]:
        return {
            "counts": f"{self.done_count}/{self.run_count} runs",
            "left": f"{self._time_left()} left",
            "running": escape("; ".join(_labels(running))),
        }

    def _line(self, finished: Finished) -> str:
        return (
            f"{self.done_count}/{self.run_count}  {finished.run.label}  "
            f"accuracy {finished.accuracy:.4f}  {finished.total_seconds:.1f} s  "
            f"({self._time_left()} left)"
        )

    def _time_left(self) -> str:
        """Return the time left at the speed so far, weighed by the runs' expected costs."""
        if not self.done_cost:
            return "?"
        seconds = (time.monotonic() - self.start) * (self.total_cost / self.done_cost - 1)
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


def _labels(running: Sequence[Run]) -> list[str]:
    """Return what is running in few words: a label a run, or one for all seeds of an ensemble."""
    alike: dict[Run, list[Run]] = {}
    for run in running:
        alike.setdefault(run if run.engine == LEARNER else replace(run, seed=0), []).append(run)
    return [
        runs[0].label if len(runs) == 1 else f"{kind.variant} {kind.backend}, {len(runs)} seeds"
        for kind, runs in alike.items()
    ]
