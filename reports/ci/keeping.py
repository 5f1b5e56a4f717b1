"""``keep``: a night's history and baseline, put into the git branch that carries them.

The night was made elsewhere: only what is named as such files are is taken, and only where it is
whole. History files are immutable and have names of their own, so that two nights never collide.
"""

from __future__ import annotations

import filecmp
import re
import sys
import time
from pathlib import Path

from bench.store.files import write_whole
from bench.text import one_line
from reports.ci import foreign, frozen
from reports.ci.frozen import BASELINE, NEW, NotWholeError
from reports.ci.processes import output, run

HISTORY = re.compile(r"history/\d{8}T\d{6}Z-[0-9a-f]{20}\.parquet")
AUTHOR = ("-c", "user.name=nightly", "-c", "user.email=nightly@users.noreply.github.com")
WAITS = (0, 2, 10, 30)
"""Seconds before each try: another night may be pushed between the fetch and the push."""


def keep(night: Path, kept: Path, *, freeze: bool) -> int:
    """Copy the night's history and baseline into the branch's folder, commit and push.

    A baseline is taken where none is kept, and with ``freeze`` where it is newer than the kept one.
    Returns 1 where something of the night was damaged, and therefore not kept. Raises
    CalledProcessError where git fails, which a rejected push does only after several tries.
    """
    git = ("git", "-C", str(kept))
    branch = output([*git, "symbolic-ref", "--short", "HEAD"])
    for tries, wait in enumerate(WAITS, 1):
        if tries > 1:
            _undo(git, branch, wait)
        faults = [*_add_history(night, kept), *_add_baseline(night, kept, freeze=freeze)]
        for fault in faults:
            print(f"not kept: {one_line(fault)}", file=sys.stderr)
        run([*git, "add", "--all", "--", "."], check=True)
        if run([*git, "diff", "--cached", "--quiet"]) == 0:
            print("nothing new to keep", file=sys.stderr)
            break
        run([*git, *AUTHOR, "commit", "--quiet", "--message", "A night"], check=True)
        push = [*git, "push", "--quiet", "origin", "HEAD"]
        if run(push, check=tries == len(WAITS)) == 0:
            break
    return 1 if faults else 0


def _undo(git: tuple[str, ...], branch: str, wait: int) -> None:
    """Take the night's commit back and take up what was pushed meanwhile."""
    time.sleep(wait)
    run([*git, "reset", "--quiet", "--hard", "HEAD^"], check=True)
    run([*git, *AUTHOR, "pull", "--quiet", "--rebase", "origin", branch], check=True)


def _add_history(night: Path, kept: Path) -> list[str]:
    """Copy the nights that are not kept yet; return what is wrong with those that cannot be."""
    faults = []
    for path in sorted((night / "history").glob("*")):
        name = path.relative_to(night).as_posix()
        if not HISTORY.fullmatch(name):
            print(f"skipped: {name!r}", file=sys.stderr)
        elif not (kept / name).exists():
            try:
                content = foreign.read_sealed(path)
            except OSError as error:
                faults.append(str(error))
                continue
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept / name, content)
    return faults


def _add_baseline(night: Path, kept: Path, *, freeze: bool) -> list[str]:
    """Take the night's baseline where it is to be taken; return what is wrong with it."""
    if not frozen.is_kept(night) or _same(night / BASELINE, kept / BASELINE):
        return []
    frozen.repair(kept)
    there = frozen.is_kept(kept)
    if there and not freeze:
        print("skipped: a baseline other than the kept one, without --freeze", file=sys.stderr)
        return []
    try:
        manifest = frozen.examine(night / BASELINE)
    except NotWholeError as error:
        return [str(error)]
    if there and not _is_newer(manifest, kept / BASELINE):
        print("skipped: a baseline that is no newer than the kept one", file=sys.stderr)
        return []
    for name in (*manifest.files, frozen.MANIFEST):
        (kept / NEW / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept / NEW / name, foreign.read(night / BASELINE / name))
    frozen.swap(kept)
    return []


def _same(ours: Path, theirs: Path) -> bool:
    """Say whether two folders hold the same files: a night carries the kept baseline along."""
    names = {path.relative_to(ours) for path in ours.rglob("*") if path.is_file()}
    if names != {path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()}:
        return False
    return all(filecmp.cmp(ours / name, theirs / name, shallow=False) for name in names)


def _is_newer(manifest: frozen.Manifest, kept: Path) -> bool:
    """Say whether a baseline is newer than the kept one, which may have no manifest."""
    try:
        return manifest.is_newer(frozen.examine(kept))
    except NotWholeError:
        return True
