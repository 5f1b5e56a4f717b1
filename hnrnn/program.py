"""How the project's programs start and end.

A program calls ``begin`` before its slow imports. From then on output that cannot be written is
dropped without an exception, every text can be encoded, Ctrl-C prints one line, and an unexpected
error has its own exit code.
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
"""The exit code after an unexpected error: EX_SOFTWARE of sysexits.h."""
UNWRITTEN = 74
"""The exit code if a command's only result cannot be written: EX_IOERR."""
INTERRUPTED = 130


class Output(io.FileIO):
    """A file descriptor for output. Data that cannot be written is dropped."""

    error: OSError | None = None
    """The first error of a write; a reader that has closed the pipe does not count."""

    def write(self, data: Any) -> int:
        """Write or drop some of the data, and return the number of bytes."""
        try:
            while (written := super().write(data)) is None:  # a full pipe that does not block
                select.select([], [self], [])
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.error = self.error or error
            return memoryview(data).nbytes
        return written


def called_as(script: str, module: str) -> str:
    """Return how the program was called: ``script``, or ``python -m module``."""
    called = Path(sys.argv[0]).stem if sys.argv else ""
    return script if called == script else f"python -m {module}"


def begin(name: str) -> None:
    """Prepare the output streams and the exit of this process, the program ``name``."""
    accept_warnings()
    if os.name == "posix":  # a Windows console is not a file descriptor
        # A stream that somebody else has set, such as a test, stays as it is.
        if sys.stdout is sys.__stdout__:
            sys.stdout = _prepared(sys.stdout, 1)
        if sys.stderr is sys.__stderr__:
            sys.stderr = _prepared(sys.stderr, 2)

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print(f"\n{name}: stopped", file=sys.stderr)
            sys.exit(INTERRUPTED)
        traceback.print_exception(kind, error, trace)
        short = " ".join("".join(traceback.format_exception_only(error)).split())
        print(f"{name}: internal error: {short}; its traceback is above", file=sys.stderr)
        sys.exit(INTERNAL_ERROR)

    sys.excepthook = end
    atexit.register(_report_loss, name)


def accept_warnings() -> None:
    """Ignore the warnings of fastai's import in this process, also if warnings are errors."""
    warnings.filterwarnings("ignore", ".*torch.jit.script.*is deprecated", DeprecationWarning)
    warnings.filterwarnings("ignore", "The 'mode.chained_assignment' option is deprecated")


def show(text: str) -> int:
    """Print a command's result and return its exit code: 0, or ``UNWRITTEN``."""
    print(text)
    return exit_code(0)


def exit_code(code: int) -> int:
    """Return the exit code of a command whose only result is its output.

    That is ``UNWRITTEN`` in place of 0 where some of the standard output was lost.
    """
    sys.stdout.flush()
    return code or (UNWRITTEN if _loss() else 0)


def _prepared(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream to the same file descriptor that never fails."""
    if stream is None:  # the next file would get its number, and the output would go into that file
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
    """Return the error that lost some of the standard output, or None."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, Output) else None


def _report_loss(name: str) -> None:
    sys.stdout.flush()
    loss = _loss()
    if loss:
        print(f"{name}: standard output cannot be written: {loss.strerror}", file=sys.stderr)
