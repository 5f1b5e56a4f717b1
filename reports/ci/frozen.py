"""A frozen baseline as a folder: is it whole, is it newer than another, and how it is put in place.

A manifest beside the tables, written last, names every file with its SHA-256, and when it was
frozen. Needs nothing but Python, as does everything that keeps a night.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.store.files import write_whole
from reports.ci import foreign

BASELINE, NEW, OLD = "baseline", "new-baseline", "old-baseline"
MANIFEST = "frozen.json"
NEEDED = ("epochs/epochs.parquet", "runs/runs.parquet")
CLOCKS_APART = timedelta(days=1)
"""How far the clocks of two machines may be apart."""
TABLES = (*NEEDED, "throughput/throughput.parquet")


class NotWholeError(Exception):
    """A folder is not a whole baseline; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """What a baseline is made of, and when it was frozen."""

    frozen: str
    """In UTC, as 2026-01-02T03:04:05Z."""
    workflow_run: int
    """The number of the workflow's run, which grows from run to run and is the same when one is
    run again; 0 where a person froze."""
    files: Mapping[str, str]
    """The SHA-256 of each table, by its path."""

    def is_newer(self, other: Manifest) -> bool:
        """Say whether this one was frozen later; an old night that is run again is no newer."""
        if self.workflow_run and other.workflow_run and self.workflow_run != other.workflow_run:
            return self.workflow_run > other.workflow_run
        return self.frozen > other.frozen


def complete(folder: Path, *, throughput: bool) -> Manifest:
    """Write the manifest of a baseline that was just frozen, and return it.

    ``throughput`` says whether there is to be a measurement. Raises NotWholeError where a table is
    missing or damaged, OSError where the manifest cannot be written.
    """
    files = _hashes(folder)
    missing = set(TABLES if throughput else NEEDED) - set(files)
    if missing:
        raise NotWholeError(f"{folder} lacks {', '.join(sorted(missing))}")
    run = os.environ.get("GITHUB_RUN_NUMBER", "")
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    manifest = Manifest(now, int(run) if run.isdecimal() else 0, files)
    write_whole(folder / MANIFEST, f"{json.dumps(asdict(manifest), indent=2)}\n".encode())
    return manifest


def examine(folder: Path) -> Manifest:
    """Return the manifest of a whole baseline; raise NotWholeError where it is anything else."""
    content = foreign.read_json(folder / MANIFEST)
    try:
        manifest = Manifest(**content)
        when = datetime.strptime(manifest.frozen, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise NotWholeError(f"{folder / MANIFEST} is missing or unreadable") from error
    if when > datetime.now(UTC) + CLOCKS_APART:
        raise NotWholeError(f"{folder / MANIFEST} says that it was frozen in the future")
    if not isinstance(manifest.workflow_run, int) or manifest.files != _hashes(folder):
        raise NotWholeError(f"the files of {folder} are not those that {MANIFEST} names")
    if not set(NEEDED) <= set(manifest.files):
        raise NotWholeError(f"{folder} lacks runs or epochs")
    return manifest


def is_kept(kept: Path) -> bool:
    """Say whether a folder of nights has anything in the place of a baseline."""
    return any(path.is_file() for path in (kept / BASELINE).rglob("*"))


def repair(kept: Path) -> None:
    """Undo what a call that was killed while it froze has left in a folder of nights."""
    if (kept / OLD).is_dir() and not is_kept(kept):
        shutil.rmtree(kept / BASELINE, ignore_errors=True)
        (kept / OLD).rename(kept / BASELINE)
    for name in (OLD, NEW):
        if (kept / name).exists():
            shutil.rmtree(kept / name)


def swap(kept: Path) -> None:
    """Put the new baseline in the place of the old one, which stays until then."""
    if (kept / BASELINE).exists():
        (kept / BASELINE).rename(kept / OLD)
    (kept / NEW).rename(kept / BASELINE)
    repair(kept)


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each table that is there; raise NotWholeError for a damaged one."""
    there = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*.parquet"))]
    if others := set(there) - set(TABLES):
        raise NotWholeError(
            f"{folder} holds another file than a baseline's tables: {min(others)!r}"
        )
    try:
        return {
            name: hashlib.sha256(foreign.read_sealed(folder / name)).hexdigest() for name in there
        }
    except OSError as error:
        raise NotWholeError(str(error)) from error
