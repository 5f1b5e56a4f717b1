"""The parquet store: one immutable file per run in ``runs`` and ``epochs``, and per measurement.

The folders are plain parquet data sets: ``pandas.read_parquet("results/runs")`` reads all runs.
How a file is written and read is in ``bench.parquet``. The epochs are written first: the file in
``runs`` is what makes a run finished. What ``bench throughput`` measured together is one file in
``throughput``. There are no locks: two writers of one run do the same work twice, and the record of
one is kept. Nothing depends on a clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bench.files import list_names, remove_leftovers
from bench.parquet import NewerSchemaError, UnreadableError, read_file, write_file
from bench.records import (
    EPOCHS_SCHEMA,
    FAILED,
    RUNS_SCHEMA,
    SKIPPED,
    THROUGHPUT_SCHEMA,
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

    def prepare(self, tables: Collection[str] = (RUNS, EPOCHS)) -> None:
        """Make the tables' folders, and remove what killed writers left there a day ago.

        Raises StoreError where they cannot be made or written into, and for runs in a compacted
        store: its runs would not be found there, and be done again.
        """
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise StoreError(f"results folder {self.folder} is a file: name a folder")
            if RUNS in tables and self.path(RUNS, RUNS).exists():
                raise StoreError(f"results folder {self.folder} is a compacted copy: name another")
            for table in tables:
                (self.folder / table).mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=self.folder / table):
                    pass
                remove_leftovers(self.folder / table)
        except OSError as error:
            raise self._not_writable(error) from error

    def path(self, table: str, run_id: str) -> Path:
        """Return where a run's file of a table is, or would be."""
        return self.folder / table / f"{run_id}.parquet"

    def write(self, record: Record) -> None:
        """Write a run's two files; a reader sees each whole or not at all.

        A run that is finished already stays as it is. Raises OSError where a file cannot be
        written; the run is then not finished.
        """
        if self.finished([record.run_id]):
            return
        epochs = pa.Table.from_pylist(record.epoch_rows(), schema=EPOCHS_SCHEMA)
        runs = pa.Table.from_pylist([record.run_row()], schema=RUNS_SCHEMA)
        if len(epochs):
            write_file(self.path(EPOCHS, record.run_id), epochs)
        write_file(self.path(RUNS, record.run_id), runs)

    def write_measurement(self, measurement: Measurement) -> None:
        """Write a measurement's file; a reader sees it whole or not at all.

        Raises StoreError where it cannot be written.
        """
        rows = pa.Table.from_pylist(measurement.rows(), schema=THROUGHPUT_SCHEMA)
        try:
            write_file(self.path(THROUGHPUT, measurement.measurement_id), rows)
        except OSError as error:
            raise self._not_writable(error) from error

    def finished(self, run_ids: Iterable[str]) -> set[str]:
        """Return those of ``run_ids`` that are stored whole, and neither failed nor skipped.

        Every file is read before it is believed. One that cannot be read is put aside into the
        ``unreadable`` folder, so that its run is done again and nothing is lost. Raises StoreError
        where that cannot be done, or a file is whole and of a newer schema.
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
        except NewerSchemaError as error:
            raise StoreError(f"{path}: {error}, or name another results folder") from error
        except UnreadableError:
            rows = None
        if rows is None or rows["run_id"].to_pylist() != [run_id] * row_count:
            self._put_aside(path)
            return None
        return rows

    def _put_aside(self, path: Path) -> None:
        aside = self.folder / UNREADABLE
        target = aside / f"{path.parent.name}-{path.name}"
        attempt = 1
        try:
            aside.mkdir(exist_ok=True)
            while target.exists():
                attempt += 1
                target = aside / f"{path.parent.name}-{path.stem}-{attempt}{path.suffix}"
            path.replace(target)
        except FileNotFoundError:
            pass  # another process has put it aside
        except OSError as error:
            raise self._not_writable(error) from error

    def _not_writable(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write to results folder {self.folder} ({error.strerror}): "
            "name one that you may write to"
        )

    def read(self) -> Contents:
        """Return everything that can be read, and name what cannot.

        Epochs that no run's row claims, left by a run that was cut short between its two files, are
        not read. Raises StoreError where there is no such folder, it cannot be read, or it holds
        neither runs nor measurements.
        """
        try:
            return self._read(list_names(self.folder))
        except OSError as error:
            raise StoreError(
                f"cannot read results folder {self.folder} ({error.strerror}): "
                "name one that you may read"
            ) from error

    def _read(self, names: list[str]) -> Contents:
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
        for name in list_names(self.folder / UNREADABLE):
            if name.endswith(".parquet"):
                unreadable[f"{UNREADABLE}/{name}"] = "put aside: delete it when you have seen it"
        runs = self._read_table(RUNS, unreadable)
        epochs = self._read_table(EPOCHS, unreadable)
        claimed = runs.loc[runs["epoch_rows"] > 0, "run_id"]
        epochs = epochs[epochs["run_id"].isin(claimed)].reset_index(drop=True)
        counts = epochs.groupby("run_id").size().reindex(runs["run_id"], fill_value=0)
        cut = runs["epoch_rows"].to_numpy() != counts.to_numpy()
        for run_id in runs.loc[cut, "run_id"]:
            unreadable.setdefault(f"{EPOCHS}/{run_id}.parquet", "missing or cut short")
        if self.path(EPOCHS, EPOCHS).exists() and not self.path(RUNS, RUNS).exists():
            unreadable[f"{RUNS}/{RUNS}.parquet"] = "missing: the store was not written to its end"
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

        The runs are written last: a store without them was cut short. Raises StoreError where this
        store is not empty, or cannot be written.
        """
        if any(self.folder.glob("*/*.parquet")):
            raise StoreError(f"{self.folder} holds a store already: name a new folder")
        tables = {EPOCHS: contents.epochs}
        if len(contents.throughput):
            tables[THROUGHPUT] = contents.throughput
        tables[RUNS] = contents.runs
        self.prepare(tables)
        for table, rows in tables.items():
            ordered = rows.sort_values(ORDERS[table], kind="stable")
            schema = SCHEMAS[table]
            compacted = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False)
            try:
                write_file(
                    self.path(table, table), compacted.replace_schema_metadata(schema.metadata)
                )
            except OSError as error:
                raise self._not_writable(error) from error

    def _read_table(self, table: str, unreadable: dict[str, str]) -> pd.DataFrame:
        """Return a table's sound rows; add the other files to ``unreadable``."""
        files, not_read = read_folder(self.folder / table, SCHEMAS[table])
        for name, rows in list(files.items()):
            stem = name.removesuffix(".parquet")
            # The first column is the id after which a file is named, unless it is compacted.
            if stem != table and set(rows[0].to_pylist()) != {stem}:
                not_read[name] = "it holds something else than its name says"
                del files[name]
        unreadable |= {f"{table}/{name}": reason for name, reason in not_read.items()}
        frame: pd.DataFrame = pa.concat_tables(
            [SCHEMAS[table].empty_table(), *files.values()]
        ).to_pandas()
        return frame


def read_folder(folder: Path, schema: pa.Schema) -> tuple[dict[str, pa.Table], dict[str, str]]:
    """Return the rows of every parquet file by its name, and why the others cannot be read.

    No folder is one without files. Raises StoreError where the folder itself cannot be read.
    """
    files: dict[str, pa.Table] = {}
    unreadable: dict[str, str] = {}
    try:
        names = list_names(folder)
    except OSError as error:
        raise StoreError(
            f"cannot read folder {folder} ({error.strerror}): name one that you may read"
        ) from error
    for name in names:
        if name.startswith(".") or not name.endswith(".parquet"):
            continue
        try:
            files[name] = read_file(folder / name, schema)
        except UnreadableError as error:
            unreadable[name] = str(error)
    return files, unreadable
