"""Accepted shifts: the nights from which another baseline holds, and why.

Each is a JSON file below the history folder, which ``baseline accept`` writes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from bench.store.files import write_whole
from bench.text import one_line
from reports.history.nights import SHIFTS
from reports.runs import untrusted_files
from reports.verdict.acceptance import Acceptance, acceptance_of


@dataclass(frozen=True)
class Shift:
    """An accepted shift: from ``night`` on, that night's runs are the baseline."""

    night: pd.Timestamp
    """The start of the accepted night, as the history has it."""
    replaces: pd.Timestamp | None
    """The start of the night that was the baseline before, if there was one."""
    acceptance: Acceptance


def record(folder: Path, shift: Shift) -> Path:
    """Write a shift into a history folder and return its file; one of the same night is replaced.

    Raises OSError if the folder cannot be written.
    """
    content = asdict(shift.acceptance) | {
        "night": shift.night.isoformat(),
        "replaces": None if shift.replaces is None else shift.replaces.isoformat(),
    }
    path = folder / SHIFTS / f"{shift.night:%Y%m%dT%H%M%SZ}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, f"{json.dumps(content, indent=2)}\n".encode())
    return path


def read_shifts(folder: Path) -> tuple[tuple[Shift, ...], dict[str, str]]:
    """Return the shifts of a history folder, oldest first, and why other files cannot be read."""
    shifts, unreadable = [], {}
    for path in sorted((folder / SHIFTS).glob("*.json")):
        try:
            shifts.append(_shift_of(json.loads(untrusted_files.read(path))))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            unreadable[f"{SHIFTS}/{path.name}"] = f"it is no accepted shift ({one_line(error)})"
    return tuple(sorted(shifts, key=lambda shift: shift.night)), unreadable


def _shift_of(content: dict[str, Any]) -> Shift:
    night, replaces = content["night"], content["replaces"]
    return Shift(
        _time_of(night), None if replaces is None else _time_of(replaces), acceptance_of(content)
    )


def _time_of(text: str) -> pd.Timestamp:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    return pd.Timestamp(time).tz_convert("UTC")
