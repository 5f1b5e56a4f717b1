"""How the rows of files of older schema versions become rows of the current one."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bench.store.records import ENSEMBLE

RENAMED = {5: {"plant": "injected_fault", "twin": "aa_control"}}
"""New names by old name, by the schema version that introduced them."""
ADDED: dict[int, tuple[str, ...]] = {
    2: ("injected_fault", "gates"),
    3: ("final_values",),
    4: ("instruction_set", "numeric_fingerprint", "calibration_ratio", "calibration_version"),
}
"""Columns by the version that introduced them. A history has versions of its own, and these of its
columns: ``gates``, ``final_values``, and those of the calibration workload."""
REMOVED = {5: ("engine",)}
"""Columns by the version that removed them; ``engine`` was what trained a run."""


def is_known(name: str, schema: pa.Schema) -> bool:
    """Return whether ``schema``, or an older version of it, may have the column."""
    older = [old for names in RENAMED.values() for old in names]
    return name in schema.names or name in older or name in sum(REMOVED.values(), ())


def migrate(rows: pa.Table, version: int, schema: pa.Schema) -> pa.Table:
    """Return the rows of a file of ``version`` with the columns of ``schema``.

    An epoch's row does not say what trained it: ``bench.store.pairing`` gives it its run's backend.
    """
    for since, names in RENAMED.items():
        if version < since:
            rows = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    if "engine" in rows.column_names:
        backends = pc.if_else(pc.equal(rows["engine"], ENSEMBLE), ENSEMBLE, rows["backend"])
        rows = rows.set_column(rows.schema.get_field_index("backend"), "backend", backends)
    for since, dropped in REMOVED.items():
        if version < since:
            rows = rows.drop_columns([name for name in dropped if name in rows.column_names])
    added = [
        name
        for since, names in ADDED.items()
        for name in names
        if version < since and name in schema.names
    ]
    for place, name in sorted((schema.get_field_index(name), name) for name in added):
        field = schema.field(name)
        rows = rows.add_column(place, field, pa.nulls(len(rows), field.type))
    return rows
