"""Parquet files that are no files, or that would fill the memory, are named and not opened."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.store import parquet
from bench.store.parquet import UnreadableError, read_file, write_file
from bench.store.store import EPOCHS, RUNS, RUNS_SCHEMA, SCHEMAS, Store
from reports.history import nights as history
from tests.history_data import made_up_history
from tests.made_up import made_up_record

RECORD = made_up_record("Model4", 0)
LIMIT = 2**22
"""Instead of the real one, which takes long to fill."""


def row() -> pa.Table:
    """Return the row of a run."""
    return pa.Table.from_pylist([RECORD.run_row()], schema=RUNS_SCHEMA)


def with_column(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Return a table with another column in one's place."""
    place = rows.schema.get_field_index(name)
    return rows.set_column(place, rows.schema.field(name).with_type(values.type), values)


def equal_numbers(path: Path) -> None:
    """Write one number very often: a few bytes in the file."""
    schema = pa.schema([pa.field("seed", pa.int64(), nullable=False)], RUNS_SCHEMA.metadata)
    pq.write_table(pa.table({"seed": np.zeros(LIMIT, dtype=np.int64)}, schema=schema), path)


def packed_text(path: Path) -> None:
    """Write a long text that compresses well."""
    write_file(path, with_column(row(), "error", pa.array(["x" * 2 * LIMIT])))


def repeated_text(path: Path) -> None:
    """Write a text as the value of many rows, which stands in the file once."""
    rows = pa.concat_tables([row()] * 2000).combine_chunks()
    write_file(path, with_column(rows, "error", pa.array(["x" * 4096] * 2000)))


def foreign_column(path: Path) -> None:
    """Write a column that no record has."""
    pq.write_table(row().append_column("more", pa.array([[1, 2]])), path)


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "equal numbers": (equal_numbers, "it unpacks to 32.0 MiB or more; the limit is 4 MiB"),
    "packed text": (packed_text, "it unpacks to 8.0 MiB or more"),
    "repeated text": (repeated_text, r"it unpacks to 9\.\d MiB or more"),
    "foreign column": (foreign_column, "it has an unknown column, more of list<"),
}


@pytest.mark.parametrize("kind", FILES)
def test_what_would_fill_the_memory(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file of many or long values is refused by its footer."""
    write, reason = FILES[kind]
    path = tmp_path / "file.parquet"
    write(path)
    assert path.stat().st_size < LIMIT / 50
    monkeypatch.setattr(parquet, "LARGEST_DECODED_BYTES", LIMIT)
    with pytest.raises(UnreadableError, match=reason):
        read_file(path, RUNS_SCHEMA)


def test_repeated_text_that_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text in many rows is read where they fit: what they take is counted, not guessed."""
    rows = pa.concat_tables([row()] * 50).combine_chunks()
    text = pa.array(["x" * 1000] * 49 + [None])
    write_file(tmp_path / "file.parquet", with_column(rows, "error", text))
    monkeypatch.setattr(parquet, "LARGEST_DECODED_BYTES", 200_000)
    assert len(read_file(tmp_path / "file.parquet", RUNS_SCHEMA)) == 50
    monkeypatch.setattr(parquet, "LARGEST_DECODED_BYTES", 60_000)
    with pytest.raises(UnreadableError, match="it unpacks to"):
        read_file(tmp_path / "file.parquet", RUNS_SCHEMA)


@pytest.mark.parametrize("place", ["store", "history"])
def test_what_is_no_file(place: str, tmp_path: Path) -> None:
    """A pipe, a device and a huge file in a store or history are named, and the others are read."""
    store = Store(tmp_path / "store")
    store.prepare()
    store.write(RECORD)
    whole = history.append(tmp_path / "history", made_up_history(1))
    folder = store.folder / RUNS if place == "store" else whole.parent
    os.mkfifo(folder / "pipe.parquet")
    (folder / "zero.parquet").symlink_to("/dev/zero")
    with (folder / "huge.parquet").open("wb") as file:
        file.truncate(parquet.LARGEST_FILE_BYTES + 1)
    if place == "store":
        store.prepare()  # neither waits for a pipe
        rows, unreadable = len(store.read().runs), store.read().unreadable
        unreadable = {name.removeprefix("runs/"): reason for name, reason in unreadable.items()}
    else:
        nights, unreadable = history.read(folder)
        rows = len(nights)
    assert rows == 1
    assert unreadable == {
        "huge.parquet": "it is larger than 256 MiB, the most that is read",
        "pipe.parquet": "it is a pipe, not a regular file",
        "zero.parquet": "it is a device, not a regular file",
    }


def test_a_pipe_in_a_runs_place(tmp_path: Path) -> None:
    """What is no file is quarantined, and its run is done again."""
    store = Store(tmp_path)
    store.prepare()
    store.write(RECORD)
    path = store.path(RUNS, RECORD.run_id)
    path.unlink()
    os.mkfifo(path)
    assert store.finished([RECORD.run_id]) == set()
    assert not path.exists()
    store.write(RECORD)
    assert store.finished([RECORD.run_id]) == {RECORD.run_id}


@pytest.mark.parametrize("microseconds", [2**62, -(2**62), 253_402_300_800 * 10**6])
@pytest.mark.parametrize("place", ["store", "history"])
def test_times_beyond_the_calendar(place: str, microseconds: int, tmp_path: Path) -> None:
    """A time that Python cannot hold makes its file unreadable, and no other."""
    store = Store(tmp_path / "store")
    store.prepare()
    store.write(RECORD)
    if place == "store":
        path, schema, column = store.path(RUNS, RECORD.run_id), SCHEMAS[RUNS], "ended_at"
    else:
        path = history.append(tmp_path / "history", made_up_history(1))
        schema, column = history.SCHEMA, "night"
        history.append(tmp_path / "history", made_up_history(2)[1:])
    rows = read_file(path, schema)
    times = pa.array([microseconds] * len(rows), pa.int64()).cast(schema.field(column).type)
    write_file(path, with_column(rows, column, times).cast(schema))
    if place == "store":
        contents = store.read()
        assert len(contents.runs) == 0
        unreadable = contents.unreadable[f"{RUNS}/{path.name}"]
        assert not (store.folder / EPOCHS / "none").exists()
    else:
        nights, reasons = history.read(path.parent)
        assert len(nights) == 1
        unreadable = reasons[path.name]
    assert unreadable == f"it has a time in {column} beyond the years 1 to 9999"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("night", pd.Timestamp("2099-01-01", tz="UTC"), "it has night after this machine's clock"),
        ("accuracy_mean", 2.0, "it has accuracy_mean outside 0 to 1"),
        ("throughput_ratio", -1.0, "it has throughput_ratio outside"),
        ("valid_loss_sd", np.inf, "it has valid_loss_sd outside"),
        ("seeds", -1, "it has seeds outside"),
    ],
)
def test_nights_that_cannot_be(column: str, value: object, reason: str, tmp_path: Path) -> None:
    """A night of the history with a value that none can have is named, and in no trend."""
    history.append(tmp_path, made_up_history(1))
    changed = made_up_history(2)[1:].assign(**{column: value})
    path = history.append(tmp_path, changed)
    nights, unreadable = history.read(tmp_path)
    assert len(nights) == 1
    assert unreadable[path.name].startswith(reason)
