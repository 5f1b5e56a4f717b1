"""A parquet file of rows in one of the schemas, written whole and sealed, read only where sound.

How the bytes are kept whole is in ``bench.files``.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.files import is_changed, seal, write_whole
from bench.records import ADDED_COLUMNS, VERSION_KEY


class UnreadableError(Exception):
    """A file is not whole, or of another schema."""


class NewerSchemaError(UnreadableError):
    """A file is whole, and of a schema version that is not known here."""


def write_file(path: Path, rows: pa.Table) -> None:
    """Write a parquet file; a reader sees it whole or not at all.

    The folder must be there. Raises OSError where it cannot be written to; ``path`` is then as it
    was.
    """
    content = pa.BufferOutputStream()
    pq.write_table(rows, content, compression="zstd", write_page_checksum=True)
    write_whole(path, seal(content.getvalue().to_pybytes()))


def read_file(path: Path, schema: pa.Schema) -> pa.Table:
    """Return a file's rows in ``schema``, of which the file may be an older version.

    Raises UnreadableError where it is not whole, or of a newer or another schema.
    """
    try:
        content = path.read_bytes()
        if is_changed(content):
            raise UnreadableError("its checksum differs: it was changed after it was written")
        parquet = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        version = _schema_version(parquet.schema_arrow, newest=int(schema.metadata[VERSION_KEY]))
        # A file is small: handing it to other threads would take longer than reading it.
        rows = _migrate(parquet.read(use_threads=False), version, schema)
        rows = rows if rows.schema.equals(schema) else rows.cast(schema)
        rows.validate(full=True)  # text that is no UTF-8 would be found much later
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    return rows


def _schema_version(schema: pa.Schema, newest: int) -> int:
    """Return the version that a file's schema names, ``newest`` being the newest known."""
    text = (schema.metadata or {}).get(VERSION_KEY, b"")
    if not text.isdigit():
        raise UnreadableError("it names no schema version")
    if int(text) > newest:
        raise NewerSchemaError(
            f"schema version {int(text)} is newer than {newest}, the newest that is known "
            "here: read it with the hnrnn that wrote it"
        )
    return int(text)


def _migrate(rows: pa.Table, version: int, schema: pa.Schema) -> pa.Table:
    """Return the rows with the columns that a file of ``version`` lacks."""
    for since, columns in ADDED_COLUMNS.items():
        for name, value in columns.items():
            if version < since and name in schema.names:
                field = schema.field(name)
                values = pa.array([value] * len(rows), field.type)
                rows = rows.add_column(schema.get_field_index(name), field, values)
    return rows
