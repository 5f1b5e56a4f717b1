"""Run other commands, and print each in a form to be pasted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder of the packages: a checkout, or where pip installs."""


def run(words: Sequence[str], *, check: bool = False, text: str | None = None) -> int:
    """Print and run a command, and return its exit code: 128 + n after signal n.

    ``text`` is its standard input. Raises CalledProcessError if ``check`` is set and the exit code
    is not 0, OSError if there is no such program.
    """
    print(f"+ {shlex.join(words)}", file=sys.stderr, flush=True)
    environment = dict(os.environ)
    installed = str(ROOT) in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))
    if words[0] == sys.executable and not installed:  # it shall find the same packages
        paths = [str(ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(words, check=check, input=text, encoding="utf-8", env=environment)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def output(words: Sequence[str]) -> str:
    """Return a command's output; raise CalledProcessError if its exit code is not 0."""
    return subprocess.check_output(words, encoding="utf-8").strip()


def python(words: Sequence[str]) -> list[str]:
    """Return ``python -m ...`` for this Python, without modules from the current folder."""
    return [sys.executable, "-P", *words[1:]]
