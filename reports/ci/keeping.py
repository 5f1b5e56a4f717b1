"""``keep``: put a night's history and baseline into the git branch that carries them.

The night comes from another machine. Only whole files with the expected names are taken. History
files are immutable and have unique names, so that two nights never collide.
"""

from __future__ import annotations

import filecmp
import re
import sys
import time
from pathlib import Path

from bench.store.files import write_whole
from bench.text import one_line
from reports.ci.processes import output, run
from reports.runs import frozen, untrusted_files
from reports.runs.frozen import NotWholeError

BASELINE = "baseline"
"""The baseline's folder among the nights that are kept."""
NIGHT = r"\d{8}T\d{6}Z-[0-9a-f]{20}"
HISTORY = re.compile(rf"history/({NIGHT}\.parquet|_verdicts/{NIGHT}\.md)")
AUTHOR = ("-c", "user.name=nightly", "-c", "user.email=nightly@users.noreply.github.com")
WAITS = (0, 2, 10, 30)
"""Seconds to wait before each try, since another night may be pushed in between."""


def keep(night: Path, kept: Path, *, freeze: bool) -> int:
    """Copy the night's history and baseline into the branch's folder, commit and push.

    A baseline is taken if none is kept, or with ``freeze`` if it is newer than the kept one.
    Returns 1 if something was damaged and therefore not kept. Raises CalledProcessError if git
    fails; a rejected push is tried several times.
    """
    git = ("git", "-C", str(kept))
    branch = output([*git, "symbolic-ref", "--short", "HEAD"])
    for tries, wait in enumerate(WAITS, 1):
        if tries > 1:  # undo the night's commit, and pull what was pushed meanwhile
            time.sleep(wait)
            run([*git, "reset", "--quiet", "--hard", "HEAD^"], check=True)
            run([*git, *AUTHOR, "pull", "--quiet", "--rebase", "origin", branch], check=True)
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


def _add_history(night: Path, kept: Path) -> list[str]:
    """Copy the nights that are not kept yet; return what is wrong with the damaged ones."""
    faults = []
    for path in sorted(path for path in (night / "history").rglob("*") if not path.is_dir()):
        name = path.relative_to(night).as_posix()
        if (kept / name).exists():
            continue
        if not HISTORY.fullmatch(name):
            print(f"skipped: {name!r}", file=sys.stderr)
        else:
            try:
                content = (
                    untrusted_files.read(path, untrusted_files.LARGEST_PAGE)
                    if path.suffix == ".md"
                    else untrusted_files.read_sealed(path)
                )
            except OSError as error:
                faults.append(str(error))
                continue
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept / name, content)
    return faults


def _add_baseline(night: Path, kept: Path, *, freeze: bool) -> list[str]:
    """Take the night's baseline if it is to replace the kept one; return what is wrong with it."""
    ours, theirs = night / BASELINE, kept / BASELINE
    if not frozen.is_kept(ours) or _same(ours, theirs):
        return []
    frozen.repair(theirs)
    replaces = frozen.is_kept(theirs)
    if replaces and not freeze:
        print("skipped: the baseline is not the kept one, and needs --freeze", file=sys.stderr)
        return []
    try:
        manifest = frozen.examine(ours)
    except NotWholeError as error:
        return [str(error)]
    if replaces and not _is_newer(manifest, theirs):
        print("skipped: the baseline is not newer than the kept one", file=sys.stderr)
        return []
    new = frozen.new_beside(theirs)
    for name in (*manifest.files, frozen.MANIFEST):
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(new / name, untrusted_files.read(ours / name))
    frozen.swap(theirs)
    return []


def _same(ours: Path, theirs: Path) -> bool:
    """Say whether two folders hold the same files; a night's artifact has the kept baseline too."""
    names, others = (
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        for folder in (ours, theirs)
    )
    return names == others and not any(filecmp.cmpfiles(ours, theirs, names, shallow=False)[1:])


def _is_newer(manifest: frozen.Manifest, kept: Path) -> bool:
    """Say whether a baseline is newer than the kept one; any is newer than a damaged one."""
    try:
        return manifest.is_newer(frozen.examine(kept))
    except NotWholeError:
        return True
