"""The parquet store: one immutable file per run in ``runs`` and ``epochs``, and per measurement.

The folders are plain parquet data sets: ``pandas.read_parquet("results/runs")`` reads all runs.
A file is written under a temporary name that readers pass over, flushed to disk, and renamed.
The epochs are written first: the file in ``runs`` is what makes a run finished. What ``bench
throughput`` measured together is one file in ``throughput``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.records import (
    ADDED_COLUMNS,
    EPOCHS_SCHEMA,
    FAILED,
    RUNS_SCHEMA,
    SKIPPED,
    THROUGHPUT_SCHEMA,
    VERSION_KEY,
    Measurement,
    Record,
)

RUNS, EPOCHS, THROUGHPUT, UNREADABLE = "runs", "epochs", "throughput", "unreadable"
RUN_ORDER = ["variant", "backend", "seed", "run_id"]
ORDERS = {
    RUNS: RUN_ORDER,
    EPOCHS: [*RUN_ORDER, "epoch"],
    THROUGHPUT: ["started_at", "measurement_id"],
}
"""The order of the rows in a compacted store; samples keep their own within a measurement."""
SCHEMAS = {RUNS: RUNS_SCHEMA, EPOCHS: EPOCHS_SCHEMA, THROUGHPUT: THROUGHPUT_SCHEMA}


class StoreError(Exception):
    """The results folder cannot be used, with what would be right."""


class UnreadableError(Exception):
    """A file of the store is not whole, or not what its place says."""


@dataclass(frozen=True)
class Contents:
    """What a store holds: the rows that can be read, and the files that cannot, with the reason."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    throughput: pd.DataFrame
    unreadable: dict[str, str]


class Store:
    """A results folder, for writing and for resuming."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def prepare(self, tables: Iterable[str] = (RUNS, EPOCHS)) -> None:
        """Make the tables' folders; raise StoreError where they cannot be made or written into."""
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"results folder {self.folder} is a file: name a folder")
        try:
            for table in tables:
                (self.folder / table).mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.folder / table):
                    pass
        except OSError as error:
            raise StoreError(
                f"cannot write to results folder {self.folder} ({error.strerror}): "
                "name one that you may write to"
            ) from error

    def path(self, table: str, run_id: str) -> Path:
        """Return where a run's file of a table is, or would be."""
        return self.folder / table / f"{run_id}.parquet"

    def write(self, record: Record) -> None:
        """Write a run's two files; a reader sees each whole or not at all."""
        epochs = pa.Table.from_pylist(record.epoch_rows(), schema=EPOCHS_SCHEMA)
        runs = pa.Table.from_pylist([record.run_row()], schema=RUNS_SCHEMA)
        if len(epochs):
            write_file(self.path(EPOCHS, record.run_id), epochs)
        write_file(self.path(RUNS, record.run_id), runs)

    def write_measurement(self, measurement: Measurement) -> None:
        """Write a measurement's file; a reader sees it whole or not at all."""
        rows = pa.Table.from_pylist(measurement.rows(), schema=THROUGHPUT_SCHEMA)
        write_file(self.path(THROUGHPUT, measurement.measurement_id), rows)

    def finished(self, run_ids: Iterable[str]) -> set[str]:
        """Return those of ``run_ids`` that are stored whole, and neither failed nor skipped.

        Every file is read before it is believed. One that cannot be read is put aside into the
        ``unreadable`` folder, so that its run is done again and nothing is lost.
        """
        done = set()
        for run_id in run_ids:
            row = self._sound_rows(RUNS, run_id, row_count=1)
            if row is None or row["status"][0].as_py() in (FAILED, SKIPPED):
                continue
            count = row["epoch_rows"][0].as_py()
            if self._sound_rows(EPOCHS, run_id, row_count=count) is None:
                self._put_aside(self.path(RUNS, run_id))
            else:
                done.add(run_id)
        return done

    def _sound_rows(self, table: str, run_id: str, row_count: int) -> pa.Table | None:
        """Return the rows of a run's file; None where it is missing, or unsound and put aside."""
        path = self.path(table, run_id)
        if not path.exists():
            return None
        try:
            rows = read_file(path, SCHEMAS[table])
        except UnreadableError:
            rows = None
        if rows is None or rows["run_id"].to_pylist() != [run_id] * row_count:
            self._put_aside(path)
            return None
        return rows

    def _put_aside(self, path: Path) -> None:
        aside = self.folder / UNREADABLE
        aside.mkdir(exist_ok=True)
        target = aside / f"{path.parent.name}-{path.name}"
        attempt = 1
        while target.exists():
            attempt += 1
            target = aside / f"{path.parent.name}-{path.stem}-{attempt}{path.suffix}"
        path.replace(target)

    def read(self) -> Contents:
        """Return everything that can be read, and name what cannot.

        Epochs without their run's row, left by a run that was cut short between its two files, are
        not read. Raises StoreError where there is no such folder or it holds neither runs nor
        measurements.
        """
        if not self.folder.is_dir():
            raise StoreError(
                f"no results folder {self.folder}: `python -m bench run --results {self.folder}` "
                "makes one"
            )
        if not any((self.folder / table).is_dir() for table in (RUNS, THROUGHPUT)):
            raise StoreError(
                f"{self.folder} holds no runs folder: name a folder that `python -m bench run` made"
            )
        unreadable: dict[str, str] = {}
        aside = sorted((self.folder / UNREADABLE).glob("*.parquet"))
        for path in aside:
            unreadable[f"{UNREADABLE}/{path.name}"] = "put aside"
        runs = self._read_table(RUNS, unreadable)
        epochs = self._read_table(EPOCHS, unreadable)
        epochs = epochs[epochs["run_id"].isin(runs["run_id"])].reset_index(drop=True)
        counts = epochs.groupby("run_id").size().reindex(runs["run_id"], fill_value=0)
        cut = runs["epoch_rows"].to_numpy() != counts.to_numpy()
        for run_id in runs.loc[cut, "run_id"]:
            unreadable.setdefault(f"{EPOCHS}/{run_id}.parquet", "missing or cut short")
        return Contents(
            runs[~cut].reset_index(drop=True),
            epochs[~epochs["run_id"].isin(runs.loc[cut, "run_id"])].reset_index(drop=True),
            self._read_table(THROUGHPUT, unreadable),
            unreadable,
        )

    def compact(self, folder: str | Path) -> Path:
        """Write everything that can be read as one compressed file a table into a new store.

        Returns the store's folder; this one stays as it is. Raises StoreError where a file cannot
        be read, or the new store is not empty.
        """
        contents = self.read()
        if contents.unreadable:
            raise StoreError(f"cannot be read, and would be lost: {', '.join(contents.unreadable)}")
        target = Store(folder)
        target.write_contents(contents)
        return target.folder

    def write_contents(self, contents: Contents) -> None:
        """Write everything as one compressed file a table, in an order of its own.

        Raises StoreError where this store is not empty.
        """
        if any(self.folder.glob("*/*.parquet")):
            raise StoreError(f"{self.folder} holds a store already: name a new folder")
        tables = {RUNS: contents.runs, EPOCHS: contents.epochs}
        if len(contents.throughput):
            tables[THROUGHPUT] = contents.throughput
        self.prepare(tables)
        for table, rows in tables.items():
            ordered = rows.sort_values(ORDERS[table], kind="stable")
            schema = SCHEMAS[table]
            compacted = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False)
            write_file(self.path(table, table), compacted.replace_schema_metadata(schema.metadata))

    def _read_table(self, table: str, unreadable: dict[str, str]) -> pd.DataFrame:
        """Return a table's sound rows; add the other files to ``unreadable``."""
        files, not_read = read_folder(self.folder / table, SCHEMAS[table])
        unreadable |= {f"{table}/{name}": reason for name, reason in not_read.items()}
        rows: pd.DataFrame = pa.concat_tables(
            [SCHEMAS[table].empty_table(), *files.values()]
        ).to_pandas()
        return rows


def write_file(path: Path, rows: pa.Table) -> None:
    """Write a parquet file; a reader sees it whole or not at all.

    The folder must be there. Raises OSError where it cannot be written to; ``path`` is then as it
    was.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            pq.write_table(rows, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)


def read_folder(folder: Path, schema: pa.Schema) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Return the rows of every parquet file by its name, and why the others cannot be read."""
    files: dict[str, pa.Table] = {}
    unreadable: dict[str, str] = {}
    for path in sorted(folder.glob("*.parquet")):
        if path.name.startswith("."):
            continue
        try:
            files[path.name] = read_file(path, schema)
        except UnreadableError as error:
            unreadable[path.name] = str(error)
    return files, unreadable


def read_file(path: Path, schema: pa.Schema) -> pa.Table:
    """Return a file's rows in ``schema``, of which the file may be an older version.

    Raises UnreadableError where it is not whole, or of a newer or another schema.
    """
    try:
        with path.open("rb") as file:
            parquet = pq.ParquetFile(file, page_checksum_verification=True)
            version = _schema_version(
                parquet.schema_arrow, newest=int(schema.metadata[VERSION_KEY])
            )
            # A file is small: handing it to other threads would take longer than reading it.
            rows = _migrate(parquet.read(use_threads=False), version, schema)
            rows = rows if rows.schema.equals(schema) else rows.cast(schema)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableError(" ".join(str(error).split()) or type(error).__name__) from error
    return rows


def _schema_version(schema: pa.Schema, newest: int) -> int:
    """Return the version that a file's schema names, ``newest`` being the newest known."""
    text = (schema.metadata or {}).get(VERSION_KEY, b"")
    if not text.isdigit():
        raise UnreadableError("it names no schema version")
    if int(text) > newest:
        raise UnreadableError(
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


def _flush_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable, where the system can (POSIX)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
