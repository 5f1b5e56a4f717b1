"""The output folder of a command, and how files are written into it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.store.files import write_whole
from hnrnn.arguments import Parser, output_folder
from reports.commands.errors import OutputError, UnwrittenError


def add_output(parser: Parser) -> None:
    """Add the option that names where to write."""
    parser.add_argument(
        "--output",
        type=output_folder,
        metavar="DIR",
        help="where to write; default: report in the results folder",
    )


def default_output(results: Path) -> Path:
    """Return the folder to write into where none is named."""
    return results / "report"


def write_files(output: Path, files: Mapping[str, str]) -> None:
    """Write each text whole under its name in ``output``, which is made.

    Raises OutputError where ``output`` is a file, UnwrittenError where it cannot be written to.
    """
    try:
        if output.exists() and not output.is_dir():
            raise OutputError(f"output folder {output} is a file: name a folder")
        output.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(output / name, text.encode())
    except OSError as error:
        raise UnwrittenError(output, error) from error
