"""The parquet store."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import StoreError
from bench.store import parquet
from bench.store.records import FAILED, Record
from bench.store.store import EPOCHS, RUNS, UNREADABLE, Store


def ids(records: list[Record]) -> list[str]:
    """Return the records' ids."""
    return [record.run_id for record in records]


def test_pandas_reads_the_folders(store: Store, records: list[Record]) -> None:
    """Both folders are readable as they are, and hold what was recorded."""
    runs = pd.read_parquet(store.folder / RUNS).set_index("run_id")
    epochs = pd.read_parquet(store.folder / EPOCHS).set_index("run_id")
    assert sorted(runs.index) == sorted(ids(records))
    for record in records:
        row = runs.loc[record.run_id]
        assert row["variant"] == record.run.variant
        assert row["weights_sha256"] == record.outcome.weights_sha256
        assert row["started_at"] == record.outcome.started_at
        assert epochs.loc[record.run_id, "valid_loss"] == record.epochs[0].valid_loss


def test_read(store: Store, records: list[Record]) -> None:
    """Reading gives every run and epoch, and nothing unreadable."""
    contents = store.read()
    assert sorted(contents.runs["run_id"]) == sorted(ids(records))
    assert len(contents.epochs) == 3
    assert contents.unreadable == {}


def test_finished(store: Store, records: list[Record]) -> None:
    """Stored runs are finished, others not."""
    assert store.finished([*ids(records), "unknown"]) == set(ids(records))


@pytest.mark.parametrize("table", [RUNS, EPOCHS])
def test_cut_file(store: Store, records: list[Record], table: str) -> None:
    """A cut file is not believed: it is quarantined, named, and its run is to be done again."""
    run_id = records[0].run_id
    path = store.path(table, run_id)
    path.write_bytes(path.read_bytes()[:-1])
    contents = store.read()
    assert run_id not in set(contents.runs["run_id"]) | set(contents.epochs["run_id"])
    assert f"{table}/{run_id}.parquet" in contents.unreadable
    assert store.finished(ids(records)) == set(ids(records[1:]))
    aside = [file.name for file in (store.folder / UNREADABLE).iterdir()]
    assert f"{table}-{run_id}.parquet" in aside
    store.write(records[0])
    assert store.finished(ids(records)) == set(ids(records))
    assert list(store.read().unreadable) == [f"{UNREADABLE}/{name}" for name in sorted(aside)]


def test_failed_run_is_done_again(store: Store, records: list[Record]) -> None:
    """A failed run is a record, but not finished; the next try takes its place."""
    outcome = dataclasses.replace(records[0].outcome, status=FAILED, error="injected")
    failed = dataclasses.replace(records[0], run_id="again", outcome=outcome, epochs=())
    store.write(failed)
    assert store.finished(["again"]) == set()
    assert "injected" in set(store.read().runs["error"])
    epochs = tuple(dataclasses.replace(epoch, run_id="again") for epoch in records[0].epochs)
    store.write(dataclasses.replace(records[0], run_id="again", epochs=epochs))
    assert store.finished(["again"]) == {"again"}


@pytest.mark.parametrize("fault", ["write_table", "fsync", "replace"])
def test_interrupted_write(
    store: Store, records: list[Record], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """A write that breaks off at any step leaves no file behind, whole or half."""

    def broken(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = sorted(store.folder.rglob("*"))
    record = dataclasses.replace(records[0], run_id="new")
    with monkeypatch.context() as patch:
        if fault == "write_table":
            patch.setattr(parquet.pq, "write_table", broken)
        elif fault == "fsync":
            patch.setattr(os, "fsync", broken)
        else:
            patch.setattr(Path, "replace", broken)
        with pytest.raises(KeyboardInterrupt):
            store.write(record)
    assert sorted(store.folder.rglob("*")) == before


def test_the_run_is_written_last(
    store: Store, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that stops between its two files leaves epochs, and no run that claims them."""
    replace = Path.replace
    calls = []

    def stops_at_the_second(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return replace(self, target)

    epochs = tuple(dataclasses.replace(epoch, run_id="new") for epoch in records[0].epochs)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stops_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            store.write(dataclasses.replace(records[0], run_id="new", epochs=epochs))
    assert store.path(EPOCHS, "new").exists()
    assert not store.path(RUNS, "new").exists()
    contents = store.read()
    assert contents.unreadable == {}
    assert "new" not in {*contents.runs["run_id"], *contents.epochs["run_id"]}
    assert store.finished(["new"]) == set()


def test_temporary_files_are_skipped(store: Store) -> None:
    """What a killed writer left under its temporary name is no part of the store."""
    (store.folder / RUNS / ".abc.123.part").write_bytes(b"half")
    assert len(pd.read_parquet(store.folder / RUNS)) == 3
    assert store.read().unreadable == {}


def test_prepare_errors(tmp_path: Path) -> None:
    """A results folder that is a file, or cannot be made, is one line that says what is right."""
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StoreError, match="is a file: name a folder"):
        Store(file).prepare()
    with pytest.raises(StoreError, match=r"cannot write to results folder .*: name one"):
        Store(file / "below").prepare()


def test_prepare_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is there but cannot be written to is found before anything is trained."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreError, match=r"\(Permission denied\): name one that you may write to"):
        Store(tmp_path / "results").prepare()


def test_prepare_compacted(store: Store, tmp_path: Path) -> None:
    """A compacted copy takes no runs: those that it has would be done again, and be there twice."""
    store.compact(tmp_path / "copy")
    with pytest.raises(StoreError, match="copy is a compacted copy: name another"):
        Store(tmp_path / "copy").prepare()
    Store(tmp_path / "copy").prepare(["throughput"])


def test_read_errors(tmp_path: Path) -> None:
    """Reading what is no store says how to make one."""
    with pytest.raises(StoreError, match="python -m bench run"):
        Store(tmp_path / "none").read()
    with pytest.raises(StoreError, match="holds no runs folder"):
        Store(tmp_path).read()


def test_compact(store: Store, tmp_path: Path) -> None:
    """A compacted store holds the same rows in one file a table, and is a store to every reader."""
    folder = store.compact(tmp_path / "compact")
    assert len(list(folder.glob("*/*.parquet"))) == 2
    for table in (RUNS, EPOCHS):
        rows = [pd.read_parquet(f / table).sort_values("run_id") for f in (store.folder, folder)]
        pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in rows))
    assert len(Store(folder).read().runs) == 3


def test_compact_errors(store: Store, tmp_path: Path) -> None:
    """Nothing is left out in silence, and nothing is overwritten."""
    folder = store.compact(tmp_path / "compact")
    with pytest.raises(StoreError, match="holds a store already"):
        store.compact(folder)
    (store.folder / RUNS / "bad.parquet").write_bytes(b"bad")
    with pytest.raises(StoreError, match=r"would be lost: runs/bad\.parquet"):
        store.compact(tmp_path / "other")


def test_empty_store(tmp_path: Path) -> None:
    """An empty store reads as empty tables with all their columns."""
    store = Store(tmp_path)
    store.prepare()
    contents = store.read()
    assert len(contents.runs) == len(contents.epochs) == 0
    assert "accuracy" in contents.epochs
    assert isinstance(pa.Table.from_pandas(contents.runs), pa.Table)


def test_text_that_is_none(store: Store, records: list[Record]) -> None:
    """A file with text that is no UTF-8 is named, and the others are read."""
    path = store.path(RUNS, records[0].run_id)
    rows = pq.ParquetFile(path).read()
    text = pa.array([b"\xff\xfe"], pa.binary()).view(pa.string())
    place = rows.schema.get_field_index("platform")
    pq.write_table(rows.set_column(place, rows.schema.field(place), text), path)
    contents = store.read()
    assert "UTF8" in contents.unreadable[f"{RUNS}/{path.name}"]
    assert len(contents.runs) == 2
