"""What a person sees while runs are trained: a live bar, or plain lines without a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.engines.tasks import alike
from bench.engines.work import Display, Finished, Site
from bench.plan.costs import expected_cost
from bench.plan.forecast import forecast, stored_runs
from bench.store.records import OK, SKIPPED, Run
from bench.text import counted, one_line

DUMB_TERMINALS = ("dumb", "unknown")
"""Values of ``TERM`` for terminals that cannot redraw a line."""


def stderr_console() -> Console:
    """Return a console on stderr; ``FORCE_COLOR`` does not turn a file into a terminal."""
    live = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in DUMB_TERMINALS
    return Console(stderr=True, soft_wrap=True, force_terminal=live, force_interactive=live)


class ProgressDisplay(Display):
    """A context manager that shows a night; ``notes`` are shown first."""

    def __init__(self, notes: Sequence[str] = (), console: Console | None = None) -> None:
        self.notes, self.console = notes, console or stderr_console()
        self.planned_count = self.missing_count = 0
        self.ended: list[Finished] = []
        self.total_cost = self.done_cost = 0.0
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
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def begin(
        self, planned: Sequence[Run], missing: Sequence[Run], site: Site, folder: Path
    ) -> None:
        self.planned_count, self.missing_count = len(planned), len(missing)
        for note in self.notes:
            self.say(note)
        self.total_cost = sum(expected_cost(run) for run in missing)
        self.start = time.monotonic()
        self.say(
            f"{counted(len(planned), 'run')}: {len(planned) - len(missing)} stored already in "
            f"{folder}, {len(missing)} to do on {site.device} ({site.environment.device_name})"
        )
        if missing:
            rows = stored_runs(folder)
            for line in forecast(planned, missing, rows, site.jobs, site.device):
                self.say(line)
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total_cost, **self._texts([]))

    def show(self, running: Sequence[Run], finished: Sequence[Finished]) -> None:
        # All costs first: runs that were trained together took their time together.
        self.done_cost += sum(expected_cost(each.run) for each in finished)
        for each in finished:
            self.ended.append(each)
            if each.status == OK:
                if not self.console.is_terminal:
                    self._print(
                        f"{len(self.ended)}/{self.missing_count}  {each.run.label}  "
                        f"accuracy {each.accuracy:.4f}  {each.total_seconds:.1f} s  "
                        f"({self._time_left()} left)"
                    )
            elif each.status != SKIPPED:  # the closing line gives the reasons of skipped runs
                self._print(f"{each.run.label}: {each.status}, {one_line(each.error)}")
        self.bar.update(self.task, completed=self.done_cost, **self._texts(running))

    def say(self, line: str) -> None:
        self._print(one_line(line))

    def _print(self, line: str) -> None:
        self.console.print(escape(line), highlight=False)

    def _texts(self, running: Sequence[Run]) -> dict[str, Any]:
        labels = [
            group[0].label
            if len(group) == 1
            else f"{group[0].variant} {group[0].backend}, {len(group)} seeds"
            for group in alike(running)
        ]
        return {
            "counts": f"{len(self.ended)}/{counted(self.missing_count, 'run')}",
            "left": f"{self._time_left()} left",
            "running": escape("; ".join(labels)),
        }

    def _time_left(self) -> str:
        """Return the time left at the speed so far, weighted by the runs' expected costs."""
        if not self.done_cost:
            return "?"
        seconds = (time.monotonic() - self.start) * (self.total_cost / self.done_cost - 1)
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
