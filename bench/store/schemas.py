"""The schemas of the store's tables, made from the records."""

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
    Recipe,
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


def _fields(record_type: type, *, nullable: bool = False) -> list[pa.Field]:
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
        *_fields(Run),
        *_fields(Environment),
        *_fields(Provenance),
        *_fields(Outcome),
        *_fields(Recipe),
        pa.field("epoch_rows", pa.int64(), nullable=False),
    ],
    metadata=_METADATA,
)
EPOCHS_SCHEMA = pa.schema(_fields(Epoch), metadata=_METADATA)
THROUGHPUT_SCHEMA = pa.schema(
    [
        pa.field("measurement_id", pa.string(), nullable=False),
        pa.field("started_at", _ARROW_TYPES[datetime], nullable=False),
        *_fields(Timed),
        *_fields(Sample, nullable=True),
        *_fields(Environment),
        *_fields(Provenance),
    ],
    metadata=_METADATA,
)
