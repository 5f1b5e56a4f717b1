"""Text that tries to be more than text, hostile wherever a store or a history has any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bench.store.parquet import write_file
from bench.store.records import FAILED
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, Contents, Store
from hnrnn.variants import VARIANTS
from reports.history.nights import FINAL_VALUES, SCHEMA
from reports.runs.rules import KNOWN
from tests.history_data import made_up_history
from tests.made_up import contents_of, made_up_record, throughput_rows, with_outcome

RUN = "document.title='hostile'"
VALUES = {
    "script": f"<script>{RUN};alert(1)</script>",
    "image": f'"><img src=x onerror="{RUN}">',
    "event": f"<svg/onload={RUN}> <a href='javascript:{RUN}'>x</a> <!-- &lt;b&gt;",
    "pipe": "a|b \\| c \\\\| d | --- |",
    "backticks": "`x` ``y`` ``` z",
    "lines": "one\n\n# hostile heading\n\n- item\n\n```\n| a | b |\n| - | - |\n\r\x85\u2028two",
    "link": f"[x](javascript:{RUN}) [y]: https://hostile.invalid ![z](hostile.png)",
    "address": "https://hostile.invalid/x www.hostile.invalid <https://hostile.invalid> a@b.de",
    "mention": "@hostile, hostile/hostile#1 and #1 **b** _c_ ~~d~~ :tada:",
    "shell": "${{ github.token }} $(touch hostile) `touch hostile`; touch hostile' \"",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J\b\u202etxt.exe\u200b",
    "command": "::error::hostile\n::add-mask::y\r  ::stop-commands::z ##[add-mask]y",
    "no_xml": "\x00\x01\x0b\ufffe\uffff]]>&amp;\ue000",
    "formula": "$\\frac{1$ $x_{$ \\",
    "option": "--data=/etc/passwd -rf 1. x",
    "long": "ab <b> " * 20_000,
}
"""Each is hostile in every text column of every table."""
SEEDS = 3
NO_UTF_8 = b"\xff\xfe.parquet"


def text_columns(schema: pa.Schema) -> list[str]:
    """Return the columns of a schema that hold text."""
    return [field.name for field in schema if pa.types.is_string(field.type)]


PLACES = {
    RUNS: text_columns(SCHEMAS[RUNS]),
    EPOCHS: text_columns(SCHEMAS[EPOCHS]),
    THROUGHPUT: text_columns(SCHEMAS[THROUGHPUT]),
    "history": [name for name in text_columns(SCHEMA) if name != FINAL_VALUES],
}
IDENTITIES = ("run_id", "measurement_id", "weights_sha256", "initial_weights_sha256")
"""Columns whose values have to stay different from one another."""


def values_from(first: int) -> Iterator[str]:
    """Return every value in turn, without an end: each table's next column gets the next one."""
    values = [*VALUES.values()]
    return (values[number % len(values)] for number in count(first))


def with_values(rows: pd.DataFrame, columns: list[str], values: Iterator[str]) -> pd.DataFrame:
    """Return the rows with the next value in each column, in all rows.

    A column that may not hold any text has it in one row, another one for each: those are set
    apart.
    """
    hostile = rows.copy()
    for number, (column, value) in enumerate(zip(columns, values, strict=False)):
        if column in KNOWN:
            hostile.loc[number, column] = value
        elif column in IDENTITIES:
            hostile[column] = [f"{text}{value}" for text in rows[column].astype(str)]
        else:
            hostile[column] = value
    return hostile


def sound_contents(seeds: int = SEEDS) -> Contents:
    """Return a night of every variant, with a failed run and a measurement."""
    records = [made_up_record(name, seed) for name in VARIANTS for seed in range(seeds)]
    failed = with_outcome(made_up_record("Model0", seeds), FAILED, "RuntimeError: hostile")
    throughput = throughput_rows({"nn": 1.0, "cell": 2.0, "compiled": 0.5})
    return replace(contents_of([*records, failed]), throughput=throughput)


def hostile_store(folder: Path, first: int) -> Store:
    """Write a store with a value in every text column, the first of them with number ``first``."""
    sound = sound_contents()
    names = {table: PLACES[table] for table in (RUNS, EPOCHS, THROUGHPUT)}
    tables = {
        table: with_values(getattr(sound, table), columns, values_from(first))
        for table, columns in names.items()
    }
    store = Store(folder)
    store.write_contents(Contents(tables[RUNS], tables[EPOCHS], tables[THROUGHPUT], {}))
    return store


def hostile_files(folder: Path, first: int) -> None:
    """Put files that cannot be read, with a value for a name, into every folder of a store."""
    tables = (RUNS, EPOCHS, THROUGHPUT, "unreadable")
    for table, value in zip(tables, values_from(first), strict=False):
        (folder / table).mkdir(parents=True, exist_ok=True)
        (folder / table / f"{file_name(value)}.parquet").write_bytes(b"PAR1")
    (folder / RUNS / "a|b<script>.parquet").write_bytes(b"PAR1")
    Path(os.fsdecode(os.fsencode(folder / RUNS) + b"/" + NO_UTF_8)).write_bytes(b"PAR1")


def file_name(value: str) -> str:
    """Return the value as a file may be called."""
    return value.replace("/", "\u2215").replace("\x00", "")[:60]


def hostile_history(folder: Path, first: int) -> None:
    """Write nights with a value in every text column, and a file that cannot be read."""
    folder.mkdir(parents=True)
    columns = PLACES["history"]
    for night, rows in made_up_history(3).groupby("night"):
        hostile = rows.copy()
        for column, value in zip(columns, values_from(first), strict=False):
            if column in KNOWN:
                hostile = pd.concat([hostile, rows.assign(**{column: value})])
            else:
                hostile[column] = value
        table = pa.Table.from_pandas(hostile, schema=SCHEMA, preserve_index=False)
        table = table.replace_schema_metadata(SCHEMA.metadata)
        write_file(folder / f"{night:%Y%m%d}.parquet", table)
    name = file_name(next(values_from(first)))
    (folder / f"{name}.parquet").write_bytes(b"PAR1")


def hostile_findings(path: Path, first: int) -> Path:
    """Write a file of one finding whose reason is a value."""
    value = next(values_from(first))
    quoted = "".join(f"\\U{ord(character):08x}" for character in value)
    path.write_text(
        f'[[finding]]\nvariant = "Model2"\nas_extreme = 0\nseeds = 3\nreason = "{quoted}"\n',
        encoding="utf-8",
    )
    return path
