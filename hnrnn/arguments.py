"""A command-line parser with one-line errors, and the types of its options.

A type checks a value, and its ``str`` describes it in the help (``%(type)s``). Only the standard
library is imported, because ``reports.ci`` runs on a bare Python.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from hnrnn.text import one_line

DEVICES = ("auto", "cpu", "cuda")
"""The values of ``--device``; ``auto`` is a GPU if there is one."""
STORE_FOLDERS = ("runs", "epochs", "throughput", "unreadable")
"""The folders inside a results folder; only ``bench.store.store`` writes into them."""
ROOM_CHARACTERS, ROOM_OF_TEMPORARY = 120, 20
"""The longest path inside an output folder, and the characters that a temporary name adds."""
LONGEST_VALUE = 200


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that reports wrong usage in one line, with exit code 2."""

    def parse_known_args(  # type: ignore[override]  # typeshed's overloads differ in the namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse as argparse does, but refuse unknown options here, in the command that they follow.

        Refuse ``--option=--`` too, which crashes argparse in Python 3.11.
        """
        words = sys.argv[1:] if args is None else list(args)
        for word in [] if self._subparsers else words:  # each command checks its own options
            option, _, value = word.partition("=")
            if option.startswith("--") and value == "--":
                self.error(f"{option} must have a value, not --")
        parsed, unknown = super().parse_known_args(words, namespace)
        if unknown and not self._subparsers:  # said by the command whose options they are not
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print the message in one line, point to the help, and exit with code 2."""
        message = re.sub(r"^argument (\S+):( must)?", lambda m: m[1] + (m[2] or ":"), message)
        self.exit(2, f"{self.prog}: {one_line(message)} (see {self.prog} --help)\n")


@dataclass(frozen=True)
class Number:
    """The type of an option that takes a number from ``least`` to ``most``."""

    least: float
    most: float
    # int() and float() also accept 1_000 and the digits of any script, and int() raises for more
    # than 4300 digits.
    form: ClassVar[str] = r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?"
    kind: ClassVar[type[int | float]] = float
    noun: ClassVar[str] = "number"

    def __str__(self) -> str:
        return f"{self.least:,} to {self.most:,}"

    def __call__(self, text: str) -> float:
        """Return the number; raise ``argparse.ArgumentTypeError`` for any other text."""
        if re.fullmatch(self.form, text) and self.least <= self.kind(text) <= self.most:
            return self.kind(text)
        raise argparse.ArgumentTypeError(
            f"must be a {self.noun} from {self}, not {_shown(text) or 'empty'}"
        )


class WholeNumber(Number):
    """The type of an option that takes a whole number from ``least`` to ``most``."""

    form, kind, noun = r"[+-]?[0-9]{1,18}", int, "whole number"


def any_path(text: str) -> Path:
    """Return the path of a file or folder, which need not exist: an option's type.

    Raises ``argparse.ArgumentTypeError`` for an empty name and for one that no file can have.
    """
    return _path(text, "file or folder", text)


def folder(text: str) -> Path:
    """Return the path of a folder to read: an option's type that takes no file."""
    return _path(text, "folder", os.path.join(text, "x" * ROOM_CHARACTERS))  # noqa: PTH118  # Path("") is "."


def output_folder(text: str) -> Path:
    """Return the path of a folder to write into, which need not exist: an option's type.

    Raises ``argparse.ArgumentTypeError`` as ``folder`` does, and for a place inside the folders of
    a results folder, because any other file there makes the results incomplete.
    """
    path = folder(text)
    real = Path(os.path.realpath(path))
    for place in (real, *real.parents):
        if place.name in STORE_FOLDERS and _is_results_folder(place.parent):
            raise argparse.ArgumentTypeError(
                f"must name a folder outside {_shown(place)}, where a results folder keeps its own "
                "files"
            )
    return path


def output_file(text: str) -> Path:
    """Return the path of a file to write: an option's type.

    Raises ``argparse.ArgumentTypeError`` as ``output_folder`` does, for a file that exists, and for
    a folder that does not.
    """
    path = _path(text, "new file", text + "x" * ROOM_OF_TEMPORARY)
    if os.path.lexists(path) or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"must name a new file in a folder that exists, not {_shown(path)}"
        )
    output_folder(str(path.parent))
    return path


def filled(text: str) -> str:
    """Return the text: the type of an option that takes any text but an empty one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must have a value: it is empty (an unset variable?)")
    return text


def _path(text: str, kind: str, probe: str) -> Path:
    """Return ``text`` as a path, after looking up ``probe`` to see that the name is possible."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must name a {kind}: it is empty (an unset variable?)")
    try:
        os.stat(probe)  # noqa: PTH116  # the text as it is: Path would normalise it
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        path = Path(text)
        file = next(place for place in (path, *path.parents) if os.path.lexists(place))
        raise argparse.ArgumentTypeError(f"must name a {kind}: {_shown(file)} is a file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(
            f"must name a {kind} that can be used, not {_shown(text)} ({_shown(reason)})"
        ) from error
    return Path(text)


def _is_results_folder(path: Path) -> bool:
    """Return whether a folder holds runs or measurements, or is prepared for them.

    The names of its folders are not enough: a user may have another folder named ``runs``.
    """
    if os.path.isdir(path / "runs") and os.path.isdir(path / "epochs"):  # noqa: PTH112  # never raises
        return True
    return any(next((path / name).glob("*.parquet"), None) for name in STORE_FOLDERS)


def _shown(value: object) -> str:
    return one_line(value, LONGEST_VALUE)
