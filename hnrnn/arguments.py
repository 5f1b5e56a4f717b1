"""Command lines whose errors are one line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn

DEVICES = ("auto", "cpu", "cuda")
"""What ``--device`` takes; ``auto`` is a GPU where there is one."""


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that answers wrong usage with one line and exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message, and where help is, in one line; leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def called_as(script: str, module: str) -> str:
    """Return how the program was called: by its installed script, or as a module of Python's."""
    called = Path(sys.argv[0]).stem if sys.argv else ""
    return script if called == script else f"python -m {module}"
