"""Files of other schema versions are read, or refused with both versions named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import StoreError
from bench.store.migration import ADDED, RENAMED
from bench.store.records import ENSEMBLE, SCHEMA_VERSION, Record
from bench.store.store import EPOCHS, RUN_ORDER, RUNS, UNREADABLE, Store
from hnrnn.variants import VARIANTS
from tests.bench.store.test_store import ids


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
