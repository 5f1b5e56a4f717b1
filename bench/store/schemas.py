"""The schemas of the store's tables, made from the records; needs pyarrow."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import get_type_hints

import pyarrow as pa

from bench.store.records import (
    SCHEMA_VERSION,
    VERSION_KEY,
    Environment,
    Epoch,
    Outcome,
    Provenance,
    Run,
    Sample,
    Timed,
)

_ARROW_TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _schema_fields(record_type: type, *, nullable: bool = False) -> list[pa.Field]:
    hints = get_type_hints(record_type)
    result = []
    for field in fields(record_type):
        options = getattr(hints[field.name], "__args__", (hints[field.name],))
        optional = nullable or type(None) in options
        (kind,) = (option for option in options if option is not type(None))
        result.append(pa.field(field.name, _ARROW_TYPES[kind], nullable=optional))
    return result


_METADATA = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
RUNS_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        *_schema_fields(Run),
        *_schema_fields(Environment),
        *_schema_fields(Provenance),
        *_schema_fields(Outcome),
        pa.field("bptt", pa.int64(), nullable=False),
        pa.field("recipe_epochs", pa.int64(), nullable=False),
        pa.field("learning_rate", pa.float64(), nullable=False),
        pa.field("pct_start", pa.float64(), nullable=False),
        pa.field("loss", pa.string(), nullable=False),
        pa.field("metric", pa.string(), nullable=False),
        pa.field("epoch_rows", pa.int64(), nullable=False),
    ],
    metadata=_METADATA,
)
EPOCHS_SCHEMA = pa.schema(_schema_fields(Epoch), metadata=_METADATA)
THROUGHPUT_SCHEMA = pa.schema(
    [
        pa.field("measurement_id", pa.string(), nullable=False),
        pa.field("started_at", _ARROW_TYPES[datetime], nullable=False),
        *_schema_fields(Timed),
        *_schema_fields(Sample, nullable=True),
        *_schema_fields(Environment),
        *_schema_fields(Provenance),
    ],
    metadata=_METADATA,
)
