"""How a command writes its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.store.files import write_whole
from reports.commands.errors import UnwrittenError


@contextmanager
def writing_into(output: Path) -> Iterator[None]:
    """Make the folder; raise UnwrittenError if it, or what the block writes, cannot be written."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UnwrittenError(output, error) from error


def write_files(output: Path, files: Mapping[str, str]) -> None:
    """Write each text whole under its name into ``output``; raise UnwrittenError."""
    with writing_into(output):
        for name, text in files.items():
            write_whole(output / name, text.encode())
