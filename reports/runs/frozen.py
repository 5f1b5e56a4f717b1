"""The folder of a frozen baseline: is it whole, is it newer than another, and how it is replaced.

A manifest beside the tables, written last, has the time of the freeze and the SHA-256 of every
file. It is replaced by renames of the folders beside it, so that a killed call loses nothing. Like
everything that keeps a night, this needs nothing but Python.
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
from reports.runs import untrusted_files

MANIFEST = "frozen.json"
ACCEPTED = "accepted.json"
"""Why a baseline was accepted although it departs; see ``reports.verdict.acceptance``."""
NEEDED = ("epochs/epochs.parquet", "runs/runs.parquet")
CLOCKS_APART = timedelta(days=1)
"""The largest difference between the clocks of two machines."""
TABLES = (*NEEDED, "throughput/throughput.parquet")


class NotWholeError(Exception):
    """A folder is not a whole baseline; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """The files of a baseline, and when it was frozen."""

    frozen: str
    """The time in UTC, such as 2026-01-02T03:04:05Z."""
    workflow_run: int
    """The workflow's run number, which grows from run to run, but not if one is repeated; 0 outside
    a workflow."""
    files: Mapping[str, str]
    """The SHA-256 of each table, and of ``ACCEPTED`` where it is there, by its path."""

    def is_newer(self, other: Manifest) -> bool:
        """Say whether this one was frozen later; repeating an old night does not make it newer."""
        if self.workflow_run and other.workflow_run and self.workflow_run != other.workflow_run:
            return self.workflow_run > other.workflow_run
        return self.frozen > other.frozen


def complete(folder: Path, *, throughput: bool) -> Manifest:
    """Write the manifest of a baseline that was just frozen, and return it.

    ``throughput`` says whether there must be a measurement. Raises NotWholeError if a table is
    missing or damaged, OSError if the manifest cannot be written.
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
    """Return the manifest of a whole baseline; raise NotWholeError for anything else."""
    content = untrusted_files.read_json(folder / MANIFEST)
    try:
        manifest = Manifest(**content)
        when = datetime.strptime(manifest.frozen, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except (TypeError, ValueError) as error:
        raise NotWholeError(f"{folder / MANIFEST} is missing or unreadable") from error
    if when > datetime.now(UTC) + CLOCKS_APART:
        raise NotWholeError(f"{folder / MANIFEST} has a time in the future")
    if not isinstance(manifest.workflow_run, int) or manifest.files != _hashes(folder):
        raise NotWholeError(f"the files of {folder} differ from those in its {MANIFEST}")
    if not set(NEEDED) <= set(manifest.files):
        raise NotWholeError(f"{folder} lacks runs or epochs")
    return manifest


def is_kept(baseline: Path) -> bool:
    """Say whether a folder is a baseline, whole or not."""
    return any(path.is_file() for path in baseline.rglob("*"))


def new_beside(baseline: Path) -> Path:
    """Return where the baseline is written that is to replace this one."""
    return baseline.with_name(f"new-{baseline.name}")


def repair(baseline: Path) -> None:
    """Clean up beside a baseline after a call that was killed while it replaced it."""
    old = _old_beside(baseline)
    if old.is_dir() and not is_kept(baseline):
        shutil.rmtree(baseline, ignore_errors=True)
        old.rename(baseline)
    for folder in (old, new_beside(baseline)):
        if folder.exists():
            shutil.rmtree(folder)


def swap(baseline: Path) -> None:
    """Replace the old baseline, which stays in place until the new one is whole."""
    if baseline.exists():
        baseline.rename(_old_beside(baseline))
    new_beside(baseline).rename(baseline)
    repair(baseline)


def _old_beside(baseline: Path) -> Path:
    return baseline.with_name(f"old-{baseline.name}")


def _hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a baseline; raise NotWholeError for a damaged one."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*.parquet"))]
    if others := set(names) - set(TABLES):
        raise NotWholeError(f"{folder} holds {min(others)!r}, which is no table of a baseline")
    try:
        contents = {name: untrusted_files.read_sealed(folder / name) for name in names}
        if (folder / ACCEPTED).exists():
            contents[ACCEPTED] = untrusted_files.read(folder / ACCEPTED)
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    except OSError as error:
        raise NotWholeError(str(error)) from error
