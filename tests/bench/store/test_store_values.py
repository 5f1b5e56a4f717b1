"""Numbers that are none, and nulls: each comes back as it was written."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.__main__ import main as bench
from bench.store.parquet import as_table, read_file, write_file
from bench.store.records import DIVERGED, Record
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, Store
from reports.__main__ import main as reports
from reports.history import nights as history
from tests.history_data import made_up_history
from tests.made_up import contents_of, made_up_record, throughput_rows, with_outcome

SPECIAL = [math.nan, math.inf, -math.inf, -0.0, 5e-324]
FLOATS = {
    table: [field for field in schema if pa.types.is_floating(field.type)]
    for table, schema in {**SCHEMAS, "history": history.SCHEMA}.items()
}


@cache
def sample_rows(table: str) -> pa.Table:
    """Return some rows of a table, of one run or measurement."""
    record = made_up_record("Model4", 0)
    if table == RUNS:
        return pa.Table.from_pylist([record.run_row()], schema=SCHEMAS[RUNS])
    if table == EPOCHS:
        return pa.Table.from_pylist(record.epoch_rows(), schema=SCHEMAS[EPOCHS])
    if table == THROUGHPUT:
        return as_table(throughput_rows({"nn": 1.0}), SCHEMAS[THROUGHPUT])
    return as_table(made_up_history(2), history.SCHEMA)


def bits(rows: pa.Table, table: str) -> dict[str, list[str]]:
    """Return what is in a table's floats so that NaN equals NaN, and minus zero is not zero."""
    return {field.name: list(map(repr, rows[field.name].to_pylist())) for field in FLOATS[table]}


@st.composite
def hostile_rows(draw: st.DrawFn, table: str) -> pa.Table:
    """Draw a table's rows with any floats in each of its columns for floats."""
    rows = sample_rows(table)
    for field in FLOATS[table]:
        value = st.one_of(st.sampled_from(SPECIAL), st.floats())
        value = st.one_of(value, st.none()) if field.nullable else value
        drawn = draw(st.lists(value, min_size=1, max_size=4))
        values = [drawn[number % len(drawn)] for number in range(len(rows))]
        place = rows.schema.get_field_index(field.name)
        rows = rows.set_column(place, field, pa.array(values, field.type, from_pandas=False))
    return rows


@pytest.mark.parametrize("table", FLOATS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_float_comes_back(table: str, data: st.DataObject) -> None:
    """A file keeps every float of every table, and a null is a null where there may be one."""
    rows = data.draw(hostile_rows(table))
    with TemporaryDirectory() as folder:
        path = Path(folder, "table", f"{table}.parquet")
        path.parent.mkdir()
        write_file(path, rows)
        assert bits(read_file(path, rows.schema), table) == bits(rows, table)
        if table in SCHEMAS:
            compacted = bits(compact_with(Path(folder), table, rows), table)
            assert {name: sorted(values) for name, values in compacted.items()} == {
                name: sorted(values) for name, values in bits(rows, table).items()
            }


def compact_with(folder: Path, table: str, rows: pa.Table) -> pa.Table:
    """Return a table of a compacted store in which it has these rows."""
    store = Store(folder / "store")
    store.prepare(SCHEMAS)
    for name in {RUNS, EPOCHS} | {table}:
        written = rows if name == table else sample_rows(name)
        write_file(store.path(name, written[0][0].as_py()), written)
    copy = Store(store.compact(folder / "copy"))
    return read_file(copy.path(table, table), SCHEMAS[table])


@pytest.mark.parametrize("table", FLOATS)
def test_frames_keep_what_is_no_number(table: str) -> None:
    """From pandas, NaN stays NaN in a column that takes no nulls, and is null in one that does."""
    rows = sample_rows(table)
    frame = rows.to_pandas()
    for value in SPECIAL:
        frame[[field.name for field in FLOATS[table]]] = value
        found = as_table(frame, rows.schema)
        for field in FLOATS[table]:
            null = field.nullable and math.isnan(value)
            expected = [repr(None if null else value)] * len(frame)
            assert [repr(each) for each in found[field.name].to_pylist()] == expected


@pytest.fixture(scope="module")
def night() -> list[Record]:
    """A night of 20 seeds of every variant: 160 runs, one of which has diverged."""
    records = [made_up_record(f"Model{n}", seed) for n in range(8) for seed in range(20)]
    lost = with_outcome(records[-1], DIVERGED)
    rows = [replace(epoch, train_loss=math.nan, valid_loss=math.inf) for epoch in lost.epochs]
    return [*records[:-1], replace(lost, epochs=tuple(rows))]


@pytest.mark.parametrize("command", ["compact", "freeze"])
def test_a_diverged_run_is_kept(command: str, night: list[Record], tmp_path: Path) -> None:
    """A night with a run that diverged can be compacted and frozen, and its losses come back."""
    store = Store(tmp_path / "results")
    store.write_contents(contents_of(night))
    arguments = ["--results", str(store.folder), "--output", str(tmp_path / "copy")]
    if command == "compact":
        assert bench(["compact", *arguments]) == 0
    else:
        assert reports(["baseline", "freeze", *arguments]) == 0
    contents = Store(tmp_path / "copy").read()
    lost = contents.epochs[contents.epochs["run_id"] == night[-1].run_id]
    assert len(contents.runs) == 160
    assert np.isnan(lost["train_loss"]).all()
    assert np.isposinf(lost["valid_loss"]).all()
    assert np.isfinite(contents.epochs["valid_loss"]).sum() == len(contents.epochs) - len(lost)
    plain = pd.read_parquet(tmp_path / "copy" / EPOCHS)
    assert np.isnan(plain["train_loss"]).sum() == len(lost)
