"""The schemas of the store's tables, made from the records."""

from __future__ import annotations

from datetime import datetime
from typing import get_type_hints

import pyarrow as pa

from bench.store import records

_ARROW_TYPES = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us", tz="UTC"),
}


def _fields(record_type: type, *, nullable: bool = False) -> list[pa.Field]:
    result = []
    for name, hint in get_type_hints(record_type).items():
        kind, *none = getattr(hint, "__args__", (hint,))  # a kind, or a kind or None
        result.append(pa.field(name, _ARROW_TYPES[kind], nullable=nullable or bool(none)))
    return result


_METADATA = {records.VERSION_KEY: str(records.SCHEMA_VERSION).encode()}
RUNS_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        *_fields(records.Run),
        *_fields(records.Environment),
        *_fields(records.Provenance),
        *_fields(records.Outcome),
        *_fields(records.Recipe),
        pa.field("epoch_rows", pa.int64(), nullable=False),
    ],
    metadata=_METADATA,
)
EPOCHS_SCHEMA = pa.schema(_fields(records.Epoch), metadata=_METADATA)
THROUGHPUT_SCHEMA = pa.schema(
    [
        pa.field("measurement_id", pa.string(), nullable=False),
        pa.field("started_at", _ARROW_TYPES[datetime], nullable=False),
        *_fields(records.Timed),
        *_fields(records.Sample, nullable=True),
        *_fields(records.Environment),
        *_fields(records.Provenance),
    ],
    metadata=_METADATA,
)
