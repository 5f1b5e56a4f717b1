"""The parquet store: one immutable file per run in ``runs`` and ``epochs``, and per measurement.

The folders are plain parquet data sets: ``pandas.read_parquet("results/runs")`` reads all runs. The
epochs of a run are written first: the file in ``runs`` makes it finished. There are no locks: two
writers of one run do the same work twice, and the record of one is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bench.errors import StoreError
from bench.store.files import PROBE, list_names, remove_leftovers, say_once
from bench.store.pairing import pair, with_backends
from bench.store.parquet import (
    NewerSchemaError,
    UnreadableError,
    as_table,
    parquet_names,
    read_file,
    read_folder,
    upgrade_folder,
    write_file,
)
from bench.store.records import FAILED, SKIPPED, Measurement, Record
from bench.store.schemas import EPOCHS_SCHEMA, RUNS_SCHEMA, THROUGHPUT_SCHEMA

RUNS, EPOCHS, THROUGHPUT, UNREADABLE = "runs", "epochs", "throughput", "unreadable"
RUN_ORDER = ["variant", "backend", "seed", "run_id"]
ORDERS = {
    RUNS: RUN_ORDER,
    EPOCHS: [*RUN_ORDER, "epoch"],
    THROUGHPUT: ["started_at", "measurement_id"],
}
"""The order of the rows in a compacted store; samples keep their own within a measurement."""
SCHEMAS = {RUNS: RUNS_SCHEMA, EPOCHS: EPOCHS_SCHEMA, THROUGHPUT: THROUGHPUT_SCHEMA}


@dataclass(frozen=True)
class Contents:
    """What a store holds: all rows that can be read, and by file why the others cannot."""

    runs: pd.DataFrame
    epochs: pd.DataFrame
    throughput: pd.DataFrame
    unreadable: dict[str, str]


class Store:
    """A results folder, for writing, resuming and reading."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, table: str, run_id: str) -> Path:
        """Return where a run's file of a table is, or would be."""
        return self.folder / table / f"{run_id}.parquet"

    def prepare(self, tables: Collection[str] = (RUNS, EPOCHS)) -> None:
        """Make the tables' folders, check that they can be written to, and update older files.

        Raises StoreError for folders that cannot be made or written to or hold files of a newer
        schema, and for runs in a compacted store, where finished runs would not be found.
        """
        with self._access("write to"):
            if self.folder.exists() and not self.folder.is_dir():
                raise StoreError(f"results folder {self.folder} is a file: name a folder")
            if RUNS in tables and self.path(RUNS, RUNS).exists():
                raise StoreError(f"results folder {self.folder} is a compacted copy: name another")
            for table in tables:
                folder = self.folder / table
                folder.mkdir(parents=True, exist_ok=True)
                # Written like a record, so that an error shows before anything is trained.
                write_file(folder / PROBE, SCHEMAS[table].empty_table())
                (folder / PROBE).unlink(missing_ok=True)
                remove_leftovers(folder)
            self._upgrade()

    def _upgrade(self) -> None:
        """Rewrite older files in the current schema, so that every folder is one table."""
        try:
            count = upgrade_folder(self.folder / EPOCHS, SCHEMAS[EPOCHS], self._with_backends)
            for table in (RUNS, THROUGHPUT):
                count += upgrade_folder(self.folder / table, SCHEMAS[table])
        except NewerSchemaError as error:
            raise StoreError(f"{error}, or name another results folder") from error
        if count:
            say_once(f"{self.folder}: files of an older schema brought up to date: {count}")

    def _with_backends(self, epochs: pa.Table) -> pa.Table:
        """Return the epochs of an older file with the backends of their runs."""
        runs = [SCHEMAS[RUNS].empty_table()]
        for name in {RUNS, *epochs["run_id"].to_pylist()}:
            path = self.path(RUNS, name)
            try:
                runs += [read_file(path, SCHEMAS[RUNS])] if path.exists() else []
            except NewerSchemaError:
                raise
            except UnreadableError:
                say_once(
                    f"{path} cannot be read, so {EPOCHS}/{path.name} stays in an older schema: "
                    "delete both when you have seen them"
                )
                raise
        return with_backends(epochs, pa.concat_tables(runs))

    def write(self, record: Record) -> None:
        """Write a run's two files, unless the run is finished already.

        Raises OSError if a file cannot be written; the run is then not finished.
        """
        if self.finished([record.run_id]):
            return
        epochs = pa.Table.from_pylist(record.epoch_rows(), schema=EPOCHS_SCHEMA)
        runs = pa.Table.from_pylist([record.run_row()], schema=RUNS_SCHEMA)
        if len(epochs):
            write_file(self.path(EPOCHS, record.run_id), epochs)
        write_file(self.path(RUNS, record.run_id), runs)

    def write_measurement(self, measurement: Measurement) -> None:
        """Write a measurement's file; raise StoreError if it cannot be written."""
        rows = pa.Table.from_pylist(measurement.rows(), schema=THROUGHPUT_SCHEMA)
        with self._access("write to"):
            write_file(self.path(THROUGHPUT, measurement.measurement_id), rows)

    def finished(self, run_ids: Iterable[str]) -> set[str]:
        """Return those of ``run_ids`` that are stored whole, and neither failed nor skipped.

        One that cannot be read is quarantined in the ``unreadable`` folder, and its run is done
        again. Raises StoreError if that fails, or if a sound file has a newer schema.
        """
        done = set()
        for run_id in run_ids:
            before = _identity(self.path(RUNS, run_id))
            row = self._sound_rows(RUNS, run_id, row_count=1)
            if row is None or row["status"][0].as_py() in (FAILED, SKIPPED):
                continue
            count = row["epoch_rows"][0].as_py()
            if self._sound_rows(EPOCHS, run_id, row_count=count) is None:
                self._quarantine(self.path(RUNS, run_id), before)
            else:
                done.add(run_id)
        return done

    def _sound_rows(self, table: str, run_id: str, row_count: int) -> pa.Table | None:
        """Return the rows of a run's file; None if it is missing, or unsound and quarantined."""
        path = self.path(table, run_id)
        before = _identity(path)
        if before is None:
            return None
        try:
            rows = read_file(path, SCHEMAS[table])
        except NewerSchemaError as error:
            raise StoreError(f"{path}: {error}, or name another results folder") from error
        except UnreadableError:
            rows = None
        if rows is None or rows["run_id"].to_pylist() != [run_id] * row_count:
            self._quarantine(path, before)
            return None
        return rows

    def _quarantine(self, path: Path, before: tuple[int, int] | None) -> None:
        """Quarantine a file, unless another process has replaced it since it was ``before``."""
        quarantine = self.folder / UNREADABLE
        target = quarantine / f"{path.parent.name}-{path.name}"
        attempt = 1
        with self._access("write to"), suppress(FileNotFoundError):  # another process has moved it
            quarantine.mkdir(exist_ok=True)
            while target.exists():
                attempt += 1
                target = quarantine / f"{path.parent.name}-{path.stem}-{attempt}{path.suffix}"
            if _identity(path) == before:
                path.replace(target)

    @contextmanager
    def _access(self, kind: str) -> Iterator[None]:
        """Raise StoreError in place of OSError; ``kind`` is ``read`` or ``write to``."""
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot {kind} results folder {self.folder} ({error.strerror}): "
                f"name one that you may {kind}"
            ) from error

    def read(self) -> Contents:
        """Return everything that can be read, and name what cannot.

        Epochs without a run, left by a writer that was killed between its two files, are not read.
        Raises StoreError if the folder does not exist, cannot be read, or holds neither runs nor
        measurements.
        """
        with self._access("read"):
            tables, unreadable = self._read_tables()
        frames = {table: rows.to_pandas() for table, rows in tables.items()}
        return Contents(**frames, unreadable=unreadable)

    def _read_tables(self) -> tuple[dict[str, pa.Table], dict[str, str]]:
        names = list_names(self.folder)
        if not names and not self.folder.is_dir():
            raise StoreError(
                f"no results folder {self.folder}: `python -m bench run --results {self.folder}` "
                "makes one"
            )
        if RUNS not in names and THROUGHPUT not in names:
            raise StoreError(
                f"{self.folder} holds no runs folder: name a folder that `python -m bench run` made"
            )
        unreadable: dict[str, str] = {}
        tables = {table: self._read_table(table, unreadable) for table in SCHEMAS}
        # Last, because another process may quarantine a file while the tables are read.
        for name in list_names(self.folder / UNREADABLE):
            if name.endswith(".parquet"):
                unreadable[f"{UNREADABLE}/{name}"] = "quarantined: delete it when you have seen it"
        tables[RUNS], tables[EPOCHS], incomplete = pair(tables[RUNS], tables[EPOCHS])
        for run_id in incomplete:
            unreadable.setdefault(f"{EPOCHS}/{run_id}.parquet", "missing or cut short")
        if self.path(EPOCHS, EPOCHS).exists() and not self.path(RUNS, RUNS).exists():
            unreadable[f"{RUNS}/{RUNS}.parquet"] = "missing: the store was not written to its end"
        return tables, unreadable

    def _read_table(self, table: str, unreadable: dict[str, str]) -> pa.Table:
        """Return a table's sound rows; add the other files to ``unreadable``."""
        files, not_read = read_folder(self.folder / table, SCHEMAS[table])
        for name, rows in list(files.items()):
            stem = name.removesuffix(".parquet")
            # A file is named after the id in its first column, unless it is compacted.
            if stem != table and set(rows[0].to_pylist()) != {stem}:
                not_read[name] = "its rows do not belong to its name"
                del files[name]
        unreadable |= {f"{table}/{name}": reason for name, reason in not_read.items()}
        rows = pa.concat_tables([SCHEMAS[table].empty_table(), *files.values()])
        return rows.combine_chunks()  # a table of many chunks is slow to filter

    def compact(self, folder: str | Path) -> Path:
        """Write everything as one compressed file per table into a new store; return its folder.

        Raises StoreError if a file cannot be read, or the new store is not empty.
        """
        with self._access("read"):
            tables, unreadable = self._read_tables()
        if unreadable:
            raise StoreError(f"cannot be read, and would be lost: {', '.join(unreadable)}")
        target = Store(folder)
        target._write_tables(tables)
        return target.folder

    def write_contents(self, contents: Contents) -> None:
        """Write everything as ``compact`` does, with the same errors."""
        frames = {name: as_table(getattr(contents, name), SCHEMAS[name]) for name in SCHEMAS}
        self._write_tables(frames)

    def _write_tables(self, tables: Mapping[str, pa.Table]) -> None:
        """Write each table as one file. The runs come last: a store without them is incomplete."""
        if any(parquet_names(self.folder / table) for table in SCHEMAS):
            raise StoreError(f"{self.folder} holds a store already: name a new folder")
        written = [EPOCHS, *([THROUGHPUT] if len(tables[THROUGHPUT]) else []), RUNS]
        self.prepare(written)
        for table in written:
            order = [(column, "ascending") for column in ORDERS[table]]
            with self._access("write to"):
                write_file(self.path(table, table), tables[table].sort_by(order))  # stable


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what distinguishes a file from one that replaces it; None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
