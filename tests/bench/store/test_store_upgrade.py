"""A folder with files of older schemas is brought up to date when it is written to."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import StoreError
from bench.store import parquet
from bench.store import store as store_module
from bench.store.migration import ADDED, REMOVED, RENAMED
from bench.store.records import ENSEMBLE, SCHEMA_VERSION, VERSION_KEY, Record
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, Contents, Store
from tests.bench.store.test_store_versions import write_as_version
from tests.killed_writers import measurement, sample
from tests.places import ROOT

TABLES = [RUNS, EPOCHS, THROUGHPUT]
NEXT = SCHEMA_VERSION + 1
PUBLISHED = ROOT / "reports" / "published"
STORED = sorted(path for path in PUBLISHED.rglob("*.parquet") if path.parent.name in SCHEMAS)
"""The files of published stores; what `bench rounding` measured is no store."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of seven runs and two measurements, about half of them in older schemas.

    The run of seed 3 is an ensemble's.
    """
    store = Store(tmp_path / "results")
    store.prepare(TABLES)
    for seed in range(7):
        store.write(old_sample(seed))
    for name in ("m0", "m1"):
        store.write_measurement(replace(measurement(), measurement_id=name))
    for version, seed in ((1, 0), (2, 1), (4, 2), (4, 3)):
        for table in (RUNS, EPOCHS):
            write_as_version(store.path(table, old_sample(seed).run_id), version)
    write_as_version(store.path(THROUGHPUT, "m0"), 1)
    return store


def old_sample(seed: int) -> Record:
    """Return a run's record; that of seed 3 is an ensemble's, under the id that it had before."""
    record = sample(seed)
    if seed != 3:
        return record
    epochs = tuple(replace(epoch, backend=ENSEMBLE) for epoch in record.epochs)
    return replace(record, run=replace(record.run, backend=ENSEMBLE), epochs=epochs)


def schemas(folder: Path) -> set[str]:
    """Return the different schemas of a folder's files: of all files, without their metadata."""
    files = [path for path in folder.iterdir() if path.is_file()]
    return {pq.read_schema(path).remove_metadata().to_string() for path in files}


def test_every_reader_sees_all(store: Store) -> None:
    """After a folder is prepared its files have one schema, all rows and all columns."""
    before = store.read()
    assert len(schemas(store.folder / RUNS)) == 4
    files = list((store.folder / RUNS).iterdir())
    old = {*RENAMED[5], *REMOVED[5]}
    assert {name for path in files for name in pq.read_schema(path).names} & old == {
        "plant",
        "engine",
    }
    store.prepare()
    for table in TABLES:
        assert len(schemas(store.folder / table)) == 1
        plain = pd.read_parquet(store.folder / table)
        assert list(plain) == SCHEMAS[table].names
        assert len(plain) == len(getattr(before, table))
    after = store.read()
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(after, table), getattr(before, table))
    assert after.unreadable == {}


def test_an_older_ensemble(store: Store, tmp_path: Path) -> None:
    """An ensemble's run and epochs have it as their backend: read, upgraded and compacted."""
    expected = [seed == 3 for seed in range(7)]

    def check(contents: Contents) -> None:
        runs = contents.runs.sort_values("seed")
        assert list(runs["backend"] == ENSEMBLE) == expected
        assert set(runs["backend"]) == {ENSEMBLE, "nn"}
        epochs = contents.epochs.drop_duplicates(["seed", "backend"]).sort_values("seed")
        assert list(epochs["backend"] == ENSEMBLE) == expected

    check(store.read())
    check(Store(store.compact(tmp_path / "compact")).read())
    for table in (RUNS, EPOCHS):
        write_as_version(tmp_path / "compact" / table / f"{table}.parquet", 4)
    check(Store(tmp_path / "compact").read())
    store.prepare()
    for table in (RUNS, EPOCHS):
        plain = pd.read_parquet(store.folder / table)
        assert set(plain.loc[plain["backend"] == ENSEMBLE, "seed"]) == {3}
        assert set(plain.loc[plain["seed"] == 3, "backend"]) == {ENSEMBLE}


@pytest.mark.parametrize("library", ["polars", "duckdb"])
def test_other_libraries(library: str, store: Store) -> None:
    """Where polars or duckdb are there, they read a prepared folder as it is."""
    module = pytest.importorskip(library)
    store.prepare()
    for table in TABLES:
        folder, rows = store.folder / table, len(getattr(store.read(), table))
        if library == "polars":
            found = [module.read_parquet(f"{folder}/*.parquet"), module.read_parquet(folder)]
        else:
            found = [module.read_parquet(f"{folder}/*.parquet").df()]
        for frame in found:
            assert (len(frame), [*frame.columns]) == (rows, SCHEMAS[table].names)


def test_what_is_current_stays(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Only older files are written, once, and one line says how many there were."""
    newer = [path for path in store.folder.rglob("*.parquet") if not is_older(path)]
    inodes = {path: path.stat().st_ino for path in newer}
    store.prepare()
    assert {path: path.stat().st_ino for path in newer} == inodes
    error = capsys.readouterr().err
    assert error == f"{store.folder}: files of an older schema brought up to date: 9\n"
    store.prepare()
    assert capsys.readouterr().err == ""


def is_older(path: Path) -> bool:
    """Say whether a file is of an older version."""
    return int(pq.read_schema(path).metadata[VERSION_KEY]) < SCHEMA_VERSION


def test_a_version_to_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of a next version are added by the table of columns alone, wherever they stand."""
    store.prepare()
    columns = ("made_up", "new_text")
    for table, schema in SCHEMAS.items():
        fields = [*schema]
        for place, name in zip((3, len(fields) + 1), columns, strict=True):
            fields.insert(place, pa.field(name, pa.string()))
        newer = pa.schema(fields, metadata={VERSION_KEY: str(NEXT).encode()})
        monkeypatch.setitem(store_module.SCHEMAS, table, newer)
    monkeypatch.setitem(ADDED, NEXT, columns)
    before = store.read()
    store.prepare()
    for table in TABLES:
        plain = pd.read_parquet(store.folder / table)
        assert plain.columns[3] == "made_up"
        assert plain[list(columns)].isna().all(axis=None)
        assert len(plain) == len(getattr(before, table))
    assert store.read().runs.equals(before.runs)


def test_killed_in_between(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is killed at any file leaves each old or new, and the next one goes on."""
    before, rounds = store.read(), 0
    write = parquet.write_whole
    while any(is_older(path) for path in store.folder.rglob("*.parquet")):
        rounds += 1
        with monkeypatch.context() as patch:
            left = [rounds + 3]  # a probe of each of two folders comes first

            def write_until(*arguments: object, left: list[int] = left, **options: object) -> None:
                left[0] -= 1
                if left[0] == 0:
                    raise KeyboardInterrupt
                write(*arguments, **options)  # type: ignore[arg-type]

            patch.setattr(parquet, "write_whole", write_until)
            with contextlib.suppress(KeyboardInterrupt):
                store.prepare()
        assert store.read().runs.equals(before.runs)
        assert store.read().unreadable == {}
    assert rounds > 1


def test_what_cannot_be_brought_up_to_date(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be brought up to date, or has newer files, is refused in one line."""
    upgrade = parquet.write_file

    def refused(path: Path, rows: pa.Table) -> None:
        if not path.name.startswith("."):
            raise PermissionError(13, "Permission denied")
        upgrade(path, rows)

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "write_file", refused)
        with pytest.raises(StoreError, match=r"cannot write to .*\(Permission denied\): name one"):
            store.prepare()
    write_as_version(store.path(RUNS, sample(5).run_id), 99)
    with pytest.raises(StoreError, match=r"version 99 is newer .*, or name another results folder"):
        store.prepare()


def test_damage_stays_as_it_is(store: Store) -> None:
    """A file that cannot be read is not touched: it is named, and quarantined where it is due."""
    path = store.path(RUNS, sample(0).run_id)
    damaged = path.read_bytes()[:-1]
    path.write_bytes(damaged)
    store.prepare()
    assert path.read_bytes() == damaged
    assert list(store.read().unreadable) == [f"{RUNS}/{path.name}"]
    assert store.finished([sample(0).run_id]) == set()


def test_epochs_of_a_damaged_run(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Older epochs whose run cannot be read stay as they are, and one line names both files."""
    run_id = old_sample(3).run_id
    path = store.path(RUNS, run_id)
    path.write_bytes(path.read_bytes()[:-1])
    store.prepare()
    assert [each.stem for each in (store.folder / EPOCHS).iterdir() if is_older(each)] == [run_id]
    named = f"{path} cannot be read, so {EPOCHS}/{path.name} stays in an older schema: delete both"
    assert capsys.readouterr().err.count(named) == 1


def test_another_process_is_quicker(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that another process puts in an older file's place meanwhile is not lost."""
    path = store.path(RUNS, sample(0).run_id)
    read = parquet.read_file

    def read_while_another_writes(read_path: Path, schema: pa.Schema) -> pa.Table:
        rows = read(read_path, schema)
        if read_path == path:
            place = schema.get_field_index("total_seconds")
            seconds = pa.array([99.0])
            parquet.write_file(path, rows.set_column(place, schema.field(place), seconds))
        return rows

    with monkeypatch.context() as patch:
        patch.setattr(parquet, "read_file", read_while_another_writes)
        store.prepare()
    assert read(path, SCHEMAS[RUNS])["total_seconds"].to_pylist() == [99.0]


@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.relative_to(PUBLISHED)))
def test_published_sets_are_current(path: Path) -> None:
    """What is published is in the current schema: a reader needs none of this project's code."""
    assert pq.read_schema(path).equals(SCHEMAS[path.parent.name], check_metadata=True)
