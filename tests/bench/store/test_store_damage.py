"""Files of a store that were cut, or in which a byte was changed, at every kind of place."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.store.files import SEAL, is_changed, seal
from bench.store.parquet import UnreadableError, read_file
from bench.store.records import SKIPPED
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, UNREADABLE, Store
from tests.killed_writers import measurement
from tests.made_up import made_up_record

RECORD = made_up_record("Model4", 0)
TABLES = [RUNS, EPOCHS, THROUGHPUT]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store of one run and one measurement."""
    store = Store(tmp_path / "results")
    store.prepare(TABLES)
    store.write(RECORD)
    store.write_measurement(measurement())
    return store


def path_of(store: Store, table: str) -> Path:
    """Return the only file of a table."""
    (path,) = (store.folder / table).iterdir()
    return path


def without_seal(content: bytes) -> bytes:
    """Return a file as it was written before there were seals."""
    place = content.index(SEAL)
    return content[:place] + content[place + len(SEAL) + 32 :]


def places_in(content: bytes, others: int) -> list[int]:
    """Return where a file's pages, seal and footer begin and end, and as many random places."""
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    columns = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0)
    edges = {0, 4, footer, content.find(SEAL), len(content) - 8, len(content) - 4, len(content)}
    for index in (0, columns.num_columns - 1):
        column = columns.column(index)
        edges |= {column.data_page_offset, column.dictionary_page_offset or 4}
    near = {edge + by for edge in edges for by in (-1, 0, 1)}
    near |= set(random.Random(0).sample(range(len(content)), others))  # noqa: S311  # no secret
    return sorted(place for place in near if 0 <= place < len(content))


@pytest.mark.parametrize("table", [RUNS, EPOCHS])
def test_cut(store: Store, table: str) -> None:
    """A run's file of any length but its own is quarantined, and its run is to be done again."""
    path = path_of(store, table)
    whole = path.read_bytes()
    # The row is quarantined too where it is the epochs that are cut: without them it is none.
    quarantined = [RUNS] if table == RUNS else [EPOCHS, RUNS]
    for length in reversed(places_in(whole, others=40)):
        os.truncate(path, length)
        assert store.finished([RECORD.run_id]) == set(), length
        for name in quarantined:
            aside = store.folder / UNREADABLE / f"{name}-{path.name}"
            aside.rename(store.path(name, RECORD.run_id))
        assert path.stat().st_size == length
    path.write_bytes(whole)
    assert store.finished([RECORD.run_id]) == {RECORD.run_id}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("sealed", [True, False])
def test_reading_a_cut_file(store: Store, table: str, *, sealed: bool) -> None:
    """A reader believes a file at no length but its own, with a seal or from before there were."""
    path = path_of(store, table)
    whole = path.read_bytes() if sealed else without_seal(path.read_bytes())
    path.write_bytes(whole)
    for length in reversed(places_in(whole, others=200)):
        os.truncate(path, length)
        with pytest.raises(UnreadableError):
            read_file(path, SCHEMAS[table])
    path.write_bytes(whole)
    assert len(read_file(path, SCHEMAS[table])) > 0
    path.write_bytes(whole[:-1])
    assert list(store.read().unreadable) == [f"{table}/{path.name}"]


@pytest.mark.parametrize("table", [*TABLES, "compacted runs", "compacted epochs"])
def test_a_changed_byte_is_noticed(store: Store, tmp_path: Path, table: str) -> None:
    """A flipped bit in any byte is noticed; but in the seal's own mark it leaves the rows."""
    if table.startswith("compacted"):
        store = Store(store.compact(tmp_path / "compacted"))
        table = table.removeprefix("compacted ")
    path = path_of(store, table)
    whole = path.read_bytes()
    expected = read_file(path, SCHEMAS[table])
    start = whole.index(SEAL)
    mark = range(start, start + len(SEAL))
    unnoticed = []
    # In place: a file that is written anew is flushed by some file systems, at a cost.
    with path.open("r+b", buffering=0) as file:
        for position in sorted({*places_in(whole, others=500), *mark}):
            file.seek(position)
            file.write(bytes([whole[position] ^ 1 << position % 8]))
            try:
                rows = read_file(path, SCHEMAS[table])
            except UnreadableError:
                pass
            else:
                unnoticed.append(position)
                assert rows.equals(expected, check_metadata=True)
            file.seek(position)
            file.write(whole[position : position + 1])
    assert path.read_bytes() == whole
    path.write_bytes(b"p" + whole[1:])
    assert f"{table}/{path.name}" in store.read().unreadable
    assert unnoticed == list(mark)


@pytest.mark.parametrize("table", TABLES)
def test_changed_values_without_a_seal(store: Store, table: str) -> None:
    """In a file from before there were seals, a flipped bit in any page's values is noticed."""
    path = path_of(store, table)
    whole = without_seal(path.read_bytes())
    columns = pq.ParquetFile(pa.BufferReader(whole)).metadata.row_group(0)
    for index in range(columns.num_columns):
        column = columns.column(index)
        start = column.dictionary_page_offset or column.data_page_offset
        ends = [start + column.total_compressed_size]
        if column.dictionary_page_offset:
            ends.append(column.data_page_offset)
        for end in ends:  # the last byte of a page is one of its values
            changed = bytearray(whole)
            changed[end - 1] ^= 1
            path.write_bytes(changed)
            with pytest.raises(UnreadableError):
                read_file(path, SCHEMAS[table])


@pytest.mark.parametrize("table", TABLES)
def test_lost_sectors(store: Store, table: str) -> None:
    """A stretch of zeros, as a disk leaves it, and bytes behind the end are noticed."""
    path = path_of(store, table)
    whole = path.read_bytes()
    for start in range(0, len(whole), 512):
        zeros = bytes(len(whole[start : start + 512]))
        path.write_bytes(whole[:start] + zeros + whole[start + 512 :])
        with pytest.raises(UnreadableError):
            read_file(path, SCHEMAS[table])
    for more in (b"\0", b"PAR1", whole):
        path.write_bytes(whole + more)
        with pytest.raises(UnreadableError):
            read_file(path, SCHEMAS[table])


def test_sealed_file_is_plain_parquet(store: Store) -> None:
    """A seal changes nothing for a reader who knows of none."""
    path = path_of(store, EPOCHS)
    content = path.read_bytes()
    bare = without_seal(content)
    assert seal(bare) == content
    tables = [pq.ParquetFile(pa.BufferReader(data)).read() for data in (content, bare)]
    assert tables[0].equals(tables[1], check_metadata=True)
    assert not is_changed(content)
    assert not is_changed(bare)


def test_file_without_a_row(store: Store) -> None:
    """A file of no rows is not taken for a run that is not there."""
    path = path_of(store, RUNS)
    pq.write_table(SCHEMAS[RUNS].empty_table(), path)
    reason = "its rows do not belong to its name"
    assert store.read().unreadable == {f"{RUNS}/{path.name}": reason}
    assert store.finished([RECORD.run_id]) == set()


@pytest.mark.parametrize("table", [RUNS, EPOCHS])
def test_file_of_another_run(store: Store, table: str) -> None:
    """A copy of a run's file under another name is not counted as another run."""
    path = path_of(store, table)
    copy = path.with_name(f"{'0' * 20}.parquet")
    copy.write_bytes(path.read_bytes())
    contents = store.read()
    assert list(contents.unreadable) == [f"{table}/{copy.name}"]
    assert list(contents.runs["run_id"]) == [RECORD.run_id]
    assert len(contents.epochs) == len(RECORD.epochs)
    assert store.finished([RECORD.run_id, copy.stem]) == {RECORD.run_id}


def test_folder_in_the_place_of_a_file(store: Store) -> None:
    """What is no file is named, and nothing else is lost."""
    (store.folder / RUNS / "folder.parquet").mkdir()
    (store.folder / RUNS / "nowhere.parquet").symlink_to("nowhere")
    contents = store.read()
    assert list(contents.unreadable) == [f"{RUNS}/folder.parquet", f"{RUNS}/nowhere.parquet"]
    assert len(contents.runs) == 1
    assert SKIPPED in set(contents.throughput["status"])


@pytest.mark.parametrize("moment", [RUNS, EPOCHS, THROUGHPUT])
def test_quarantined_while_it_is_read(
    store: Store, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that another process quarantines between two tables is not missed: it is named."""
    path = path_of(store, EPOCHS)
    path.write_bytes(path.read_bytes()[:-1])
    read_table = Store._read_table

    def quarantined_first(self: Store, table: str, unreadable: dict[str, str]) -> pa.Table:
        if table == moment:
            assert Store(self.folder).finished([RECORD.run_id]) == set()
        return read_table(self, table, unreadable)

    monkeypatch.setattr(Store, "_read_table", quarantined_first)
    contents = store.read()
    assert len(contents.runs) == 0
    assert f"{UNREADABLE}/epochs-{RECORD.run_id}.parquet" in contents.unreadable
