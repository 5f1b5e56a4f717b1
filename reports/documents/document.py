"""Reading a file that people have, whatever its form: all training tables in it."""

from __future__ import annotations

from pathlib import Path

from reports.documents.training_table import TrainingTable


class DocumentError(Exception):
    """A file cannot be read; the message is one line that says what to do."""


def read_tables(path: Path) -> list[TrainingTable]:
    """Return the training tables in a file, in the order of the file; none is no error.

    The suffix says what the file is: ``.ipynb`` (nbformat 3 and 4), ``.html`` or ``.htm``, ``.md``,
    ``.markdown`` or ``.txt``, ``.csv`` or ``.tsv``. Raises DocumentError for what cannot be read.
    """
    raise NotImplementedError(path)
