"""Parquet files of rows in one of the schemas: written whole and sealed, and read if sound."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.errors import StoreError
from bench.store.files import is_changed, list_names, read_regular, seal, write_whole
from bench.store.migration import is_known, migrate
from bench.store.records import VERSION_KEY

LARGEST_FILE_BYTES = 256 * 2**20
"""The limit of a file; a thousand seeds of every configuration have about 20 MiB."""
LARGEST_DECODED_BYTES = 2**30
VALUE_BYTES = 8
EARLIEST, LATEST = (
    int(time.timestamp()) * 10**6
    for time in (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
)
"""The times that Python can hold in every time zone, in microseconds since 1970."""


class UnreadableError(Exception):
    """A file is damaged, or has another schema."""


class NewerSchemaError(UnreadableError):
    """A file is sound, but has a schema version that is not known here."""


def as_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return a frame in ``schema``, where a NaN in a nullable column becomes null.

    Raises ValueError or an ArrowException for values that the schema cannot hold.
    """
    if frame.empty:
        return schema.empty_table()
    columns = [
        pa.array(frame[field.name], field.type, from_pandas=True)
        if field.nullable or not pa.types.is_floating(field.type)
        else pa.array(frame[field.name].to_numpy(), field.type, from_pandas=False)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def write_file(path: Path, rows: pa.Table) -> None:
    """Write a parquet file as ``write_whole`` does, with the same errors."""
    content = pa.BufferOutputStream()
    pq.write_table(rows, content, compression="zstd", write_page_checksum=True)
    write_whole(path, seal(content.getvalue().to_pybytes()), beside=True)


def read_file(path: Path, schema: pa.Schema) -> pa.Table:
    """Return a file's rows in ``schema``, of which the file may have an older version.

    Raises UnreadableError if it is damaged, too large, or of a newer or another schema.
    """
    try:
        content = read_regular(path, LARGEST_FILE_BYTES)
        if is_changed(content):
            raise UnreadableError("its checksum differs: it was changed after it was written")
        parquet = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        version = _schema_version(parquet.schema_arrow, schema)
        _check_columns(parquet.schema_arrow, schema)
        _check_size(content, parquet)
        # A file is small: handing it to other threads would take longer than reading it.
        rows = migrate(parquet.read(use_threads=False), version, schema)
        rows = rows if rows.schema.equals(schema) else rows.cast(schema)
        rows = rows.replace_schema_metadata(schema.metadata)
        rows.validate(full=True)  # finds text that is not UTF-8
        _check_times(rows)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    return rows


def parquet_names(folder: Path) -> list[str]:
    """Return the names of a folder's parquet files, as ``list_names`` does; hidden ones are not."""
    names = list_names(folder)
    return [name for name in names if name.endswith(".parquet") and not name.startswith(".")]


def upgrade_folder(
    folder: Path, schema: pa.Schema, revise: Callable[[pa.Table], pa.Table] = lambda rows: rows
) -> int:
    """Rewrite a folder's files of an older schema in ``schema``, and return their number.

    ``revise`` adds what only a file of another table knows. Files that cannot be read stay as they
    are. Raises NewerSchemaError for a newer schema, and OSError if a file cannot be written.
    """
    count = 0
    for path in (folder / name for name in parquet_names(folder)):
        try:
            before = path.stat()
            if not _is_current(path, schema):
                rows = revise(read_file(path, schema))
                # Unless another process has just replaced the file: it is current already.
                if os.path.samestat(before, path.stat()):
                    write_file(path, rows)
                    count += 1
        except NewerSchemaError as error:
            raise NewerSchemaError(f"{path}: {error}") from error
        except (UnreadableError, FileNotFoundError):
            continue
    return count


def _is_current(path: Path, schema: pa.Schema) -> bool:
    try:
        content = pa.BufferReader(read_regular(path, LARGEST_FILE_BYTES))
        found = pq.ParquetFile(content).schema_arrow
        version = _schema_version(found, schema)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableError(str(error)) from error
    is_newest = version == int(schema.metadata[VERSION_KEY])
    return is_newest and bool(found.equals(schema, check_metadata=False))


def _schema_version(found: pa.Schema, newest: pa.Schema) -> int:
    """Return the version that a file's schema names, which is at most that of ``newest``."""
    text, known = (found.metadata or {}).get(VERSION_KEY, b""), int(newest.metadata[VERSION_KEY])
    if not text.isdigit():
        raise UnreadableError("it names no schema version")
    if int(text) > known:
        raise NewerSchemaError(
            f"schema version {int(text)} is newer than {known}, the newest that is known here: "
            "read it with the hnrnn that wrote it"
        )
    return int(text)


def _check_columns(found: pa.Schema, schema: pa.Schema) -> None:
    """Raise UnreadableError for an unknown or nested column: it could hold anything."""
    if found.equals(schema):
        return
    for field in found:
        plain = pa.types.is_primitive(field.type) or _is_text(field.type)
        if not is_known(field.name, schema) or not plain:
            raise UnreadableError(f"it has an unknown column, {field.name} of {field.type}")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _check_size(content: bytes, parquet: pq.ParquetFile) -> None:
    """Raise UnreadableError, before decoding, if the rows would take too much memory."""
    metadata = parquet.metadata
    packed = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    values = metadata.num_rows * metadata.num_columns * VALUE_BYTES
    size = max(packed, values)
    if size <= LARGEST_DECODED_BYTES < metadata.num_rows * packed:
        # A text that the file holds once may be the value of every row, so count it every time.
        size = values + sum(
            _text_bytes(content, field.name)
            for field in parquet.schema_arrow
            if _is_text(field.type)
        )
    if size > LARGEST_DECODED_BYTES:
        raise UnreadableError(
            f"it unpacks to {size / 2**20:.1f} MiB or more; the limit is "
            f"{LARGEST_DECODED_BYTES / 2**20:g} MiB"
        )


def _text_bytes(content: bytes, name: str) -> int:
    """Return the bytes of a column of text, after decoding each distinct text once."""
    parquet = pq.ParquetFile(pa.BufferReader(content), read_dictionary=[name])
    chunks = parquet.read([name], use_threads=False)[name].chunks
    lengths = (pc.take(pc.binary_length(chunk.dictionary), chunk.indices) for chunk in chunks)
    return sum(pc.sum(pc.cast(each, pa.int64())).as_py() or 0 for each in lengths)


def _check_times(rows: pa.Table) -> None:
    """Raise UnreadableError for a time that neither Python nor pandas can hold."""
    for field in rows.schema:
        if pa.types.is_timestamp(field.type):
            ends = pc.min_max(rows[field.name].cast(pa.int64())).as_py()
            if ends["min"] is not None and not EARLIEST <= ends["min"] <= ends["max"] <= LATEST:
                raise UnreadableError(f"it has a time in {field.name} beyond the years 1 to 9999")


def read_folder(folder: Path, schema: pa.Schema) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Return the rows of every parquet file by its name, and why the others cannot be read.

    A folder that does not exist has no files. Raises StoreError if the folder cannot be read.
    """
    files: dict[str, pa.Table] = {}
    unreadable: dict[str, str] = {}
    try:
        names = parquet_names(folder)
    except OSError as error:
        raise StoreError(
            f"cannot read folder {folder} ({error.strerror}): name one that you may read"
        ) from error
    for name in names:
        try:
            files[name] = read_file(folder / name, schema)
        except UnreadableError as error:
            unreadable[name] = str(error)
    return files, unreadable
