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
from bench.store.migration import ADDED, RENAMED
from bench.store.records import ENSEMBLE, FAILED, SCHEMA_VERSION, Record
from bench.store.store import EPOCHS, RUN_ORDER, RUNS, UNREADABLE, Store
from hnrnn.variants import VARIANTS


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
@pytest.mark.parametrize("keep", [0, 3, 0.5, -1])
def test_cut_file(store: Store, records: list[Record], table: str, keep: float) -> None:
    """A cut file is not believed: it is quarantined, named, and its run is to be done again."""
    run_id = records[0].run_id
    path = store.path(table, run_id)
    whole = path.read_bytes()
    length = int(len(whole) * keep) if isinstance(keep, float) else keep
    path.write_bytes(whole[:length])
    contents = store.read()
    assert run_id not in set(contents.runs["run_id"]) | set(contents.epochs["run_id"])
    assert f"{table}/{run_id}.parquet" in contents.unreadable
    assert store.finished(ids(records)) == set(ids(records[1:]))
    aside = [file.name for file in (store.folder / UNREADABLE).iterdir()]
    assert f"{table}-{run_id}.parquet" in aside
    store.write(records[0])
    assert store.finished(ids(records)) == set(ids(records))
    assert list(store.read().unreadable) == [f"{UNREADABLE}/{name}" for name in sorted(aside)]


def test_swapped_file(store: Store, records: list[Record]) -> None:
    """A file that holds another run than its name says is not believed."""
    first, second = (store.path(RUNS, record.run_id) for record in records[:2])
    first.write_bytes(second.read_bytes())
    contents = store.read()
    assert list(contents.unreadable) == [f"{RUNS}/{first.name}"]
    assert sorted(contents.runs["run_id"]) == sorted(ids(records[1:]))
    assert store.finished(ids(records)) == set(ids(records[1:]))


def write_as_version(path: Path, version: int) -> None:
    """Rewrite a file as another schema version had it: with its columns, and under their old names.

    Before version 5 an ensemble's runs named the notebook's backend, and versions 3 and 4 said in a
    column ``engine`` what had trained them.
    """
    rows = pq.ParquetFile(path).read()
    later = [name for since, names in ADDED.items() if since > version for name in names]
    rows = rows.drop_columns([name for name in later if name in rows.column_names])
    if version < 5:
        frame = rows.select(["variant", "backend"]).to_pandas()
        own = frame["variant"].map(lambda name: VARIANTS[name].backend)
        joint = frame["backend"] == ENSEMBLE
        place = rows.schema.get_field_index("backend")
        rows = rows.set_column(
            place,
            rows.schema.field(place),
            pa.array(frame["backend"].where(~joint, own), pa.string()),
        )
        if version >= 3 and path.parent.name == RUNS:
            engines = joint.map({True: "ensemble", False: "learner"})
            field = pa.field("engine", pa.string(), nullable=False)
            rows = rows.add_column(place + 6, field, pa.array(engines, pa.string()))
        olden = {new: old for old, new in RENAMED[5].items()}
        rows = rows.rename_columns([olden.get(name, name) for name in rows.column_names])
    pq.write_table(rows.replace_schema_metadata({"schema_version": str(version)}), path)


@pytest.mark.parametrize("table", [RUNS, EPOCHS])
@pytest.mark.parametrize("compacted", [False, True])
def test_newer_schema(
    store: Store, records: list[Record], tmp_path: Path, table: str, *, compacted: bool
) -> None:
    """A file of a newer schema version, compacted or not, is refused with both versions."""
    name = records[0].run_id
    if compacted:
        store, name = Store(store.compact(tmp_path / "compact")), table
    path = store.path(table, name)
    write_as_version(path, 99)
    contents = store.read()
    reason = contents.unreadable[f"{table}/{path.name}"]
    assert reason.startswith(f"schema version 99 is newer than {SCHEMA_VERSION}, the newest that")
    assert len(contents.runs) == len(contents.epochs) == (0 if compacted else 2)
    with pytest.raises(StoreError, match="would be lost"):
        store.compact(tmp_path / "other")


@pytest.mark.parametrize("table", [RUNS, EPOCHS])
def test_newer_schema_is_not_quarantined(store: Store, records: list[Record], table: str) -> None:
    """What a newer hnrnn wrote is whole: resuming refuses it, and leaves it where it is."""
    path = store.path(table, records[0].run_id)
    write_as_version(path, 99)
    with pytest.raises(StoreError, match=r"version 99 is newer .* or name another results folder"):
        store.finished(ids(records))
    with pytest.raises(StoreError, match="version 99 is newer"):
        store.write(records[0])
    assert path.exists()
    assert not (store.folder / UNREADABLE).exists()


@pytest.mark.parametrize("metadata", [{}, {"schema_version": "two"}])
def test_no_schema_version(store: Store, records: list[Record], metadata: dict[str, str]) -> None:
    """A file that names no schema version is not guessed at."""
    path = store.path(RUNS, records[0].run_id)
    pq.write_table(pq.ParquetFile(path).read().replace_schema_metadata(metadata), path)
    assert store.read().unreadable == {f"{RUNS}/{path.name}": "it names no schema version"}


@pytest.mark.parametrize("compacted", [False, True])
def test_version_1_is_read(
    store: Store, records: list[Record], tmp_path: Path, *, compacted: bool
) -> None:
    """Files of version 1 are read, their instruction set as unknown, and nothing as injected."""
    names = {RUNS: ids(records), EPOCHS: ids(records)}
    if compacted:
        store, names = Store(store.compact(tmp_path / "compact")), {RUNS: [RUNS], EPOCHS: [EPOCHS]}
    expected = store.read()
    for table, stems in names.items():
        for stem in stems:
            write_as_version(store.path(table, stem), 1)
    contents = store.read()
    assert contents.unreadable == {}
    assert contents.runs["injected_fault"].isna().all()
    unknown = ["instruction_set", "numeric_fingerprint"]
    assert contents.runs[unknown].isna().all(axis=None)
    known = expected.runs.drop(columns=unknown)
    pd.testing.assert_frame_equal(contents.runs.drop(columns=unknown), known)
    pd.testing.assert_frame_equal(contents.epochs, expected.epochs)
    assert compacted or store.finished(ids(records)) == set(ids(records))
    pd.testing.assert_frame_equal(
        Store(store.compact(tmp_path / "again")).read().runs.drop(columns=unknown),
        known.sort_values(RUN_ORDER, ignore_index=True),
    )


@pytest.mark.parametrize("column", ["injected_fault", "backend", "numeric_fingerprint"])
def test_newest_version_needs_its_columns(store: Store, records: list[Record], column: str) -> None:
    """A file that says it is of the newest version, and lacks a column, is not completed."""
    path = store.path(RUNS, records[0].run_id)
    pq.write_table(pq.ParquetFile(path).read().drop_columns([column]), path)
    assert f"{RUNS}/{path.name}" in store.read().unreadable


def test_cut_between_the_two_files(store: Store, records: list[Record]) -> None:
    """A run that was cut after its epochs and before its row is simply not there."""
    store.path(RUNS, records[0].run_id).unlink()
    contents = store.read()
    assert sorted(contents.runs["run_id"]) == sorted(ids(records[1:]))
    assert len(contents.epochs) == 2
    assert store.finished(ids(records)) == set(ids(records[1:]))


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
    assert "new" not in set(store.read().epochs["run_id"])


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
