"""How each of the project's programs starts and ends, whatever becomes of its output.

A program calls ``begin`` before the imports that take seconds. From then on output that cannot be
written is dropped and ends nothing, every text can be encoded, Ctrl-C is one line, and an error
that nobody expected has an exit code of its own.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import select
import sys
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

INTERNAL_ERROR = 70
"""The exit code of an error that nobody expected: EX_SOFTWARE of sysexits.h."""
UNWRITTEN = 74
"""That of a command whose only result is its output, and which could not write it: EX_IOERR."""
INTERRUPTED = 130
"""That of a program that Ctrl-C has ended."""


class Output(io.FileIO):
    """A file descriptor for output. What cannot be written to it is dropped."""

    error: OSError | None = None
    """The first that writing has met; a reader that has gone is none."""

    def write(self, data: Any) -> int:
        """Write the data, or some of them, or drop them; return how many bytes are done with."""
        try:
            while (written := super().write(data)) is None:  # a pipe that does not block is full
                select.select([], [self], [])
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.error = self.error or error
            return memoryview(data).nbytes
        return written


def called_as(script: str, module: str) -> str:
    """Return how the program was called: by its installed script, or as a module of Python's."""
    called = Path(sys.argv[0]).stem if sys.argv else ""
    return script if called == script else f"python -m {module}"


def begin(name: str) -> None:
    """Prepare the streams and the ends of this process, which is the program ``name``."""
    accept_warnings()
    if os.name == "posix":  # a console of Windows is no file descriptor
        # A stream that another has put in place, such as a test's, is that one's concern.
        if sys.stdout is sys.__stdout__:
            sys.stdout = _prepared(sys.stdout, 1)
        if sys.stderr is sys.__stderr__:
            sys.stderr = _prepared(sys.stderr, 2)

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(f"\n{name}: stopped", file=sys.stderr)
            sys.exit(INTERRUPTED)
        traceback.print_exception(kind, error, trace)
        print(
            f"{name}: internal error: {_in_short(error)}; its traceback is above", file=sys.stderr
        )
        sys.exit(INTERNAL_ERROR)

    sys.excepthook = end
    atexit.register(_report_loss, name)


def accept_warnings() -> None:
    """Ignore what fastai does while it is imported: ``PYTHONWARNINGS=error`` ends there otherwise.

    Warnings are settings of a process: a worker calls this too.
    """
    warnings.filterwarnings("ignore", ".*torch.jit.script.*is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "The 'mode.chained_assignment' option is deprecated")


def show(text: str) -> int:
    """Print what a command was asked for, and return its exit code: 0, or ``UNWRITTEN``."""
    print(text, flush=True)
    return UNWRITTEN if _loss() else 0


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream to the same file descriptor that never fails.

    Where there is none, because whoever started the program has closed it, its number leads
    nowhere: otherwise the next file that is opened would have it, and be written to.
    """
    if stream is None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        if nowhere != number:
            os.dup2(nowhere, number)
        return _stream(number, "utf-8", by_line=False)
    by_line = stream.line_buffering or getattr(stream, "write_through", False)
    stream.flush()
    return _stream(stream.fileno(), stream.encoding, by_line=bool(by_line))


def _stream(number: int, encoding: str, *, by_line: bool) -> TextIO:
    buffer = io.BufferedWriter(Output(number, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=by_line)


def _loss() -> OSError | None:
    """Return why some of the standard output is lost."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, Output) else None


def _report_loss(name: str) -> None:
    sys.stdout.flush()
    loss = _loss()
    if loss:
        print(f"{name}: standard output cannot be written: {loss.strerror}", file=sys.stderr)


def _in_short(error: BaseException) -> str:
    """Return an exception's kind and what it says, in one line."""
    return " ".join("".join(traceback.format_exception_only(error)).split())
