"""Commands that a night carries out, each printed as it can be pasted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Where the packages lie: a checkout, or the folder that pip installs into."""


def run(words: Sequence[str], *, check: bool = False, text: str | None = None) -> int:
    """Print a command, carry it out, and return its exit code; 128 and more after a signal.

    ``text`` is what it reads from its standard input. Raises CalledProcessError where ``check`` is
    set and the exit code is not 0, OSError where there is no such program.
    """
    print(f"+ {shlex.join(words)}", file=sys.stderr, flush=True)
    environment = _with_packages(os.environ) if words[0] == sys.executable else None
    done = subprocess.run(words, check=check, input=text, encoding="utf-8", env=environment)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def output(words: Sequence[str]) -> str:
    """Return what a command prints; raise CalledProcessError where its exit code is not 0."""
    return subprocess.check_output(words, encoding="utf-8").strip()


def python(words: Sequence[str]) -> list[str]:
    """Return ``python -m ...`` with this Python, for which the current folder holds no modules."""
    return [sys.executable, "-P", *words[1:]]


def _with_packages(environment: os._Environ[str]) -> dict[str, str]:
    """Return an environment in which the packages of this process are found, and no others."""
    if str(ROOT) in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        return dict(environment)
    paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | {"PYTHONPATH": os.pathsep.join(paths)}
