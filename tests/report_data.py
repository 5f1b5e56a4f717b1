"""Made-up records for the tests of reports: no training."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.store.records import (
    DIVERGED,
    OK,
    SKIPPED,
    Environment,
    Epoch,
    Measurement,
    Outcome,
    Provenance,
    Record,
    Run,
    Sample,
    Timed,
    run_id,
)
from bench.store.schemas import THROUGHPUT_SCHEMA
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, Contents, Store
from hnrnn.published import MEASURES, tables
from hnrnn.variants import VARIANTS

ENVIRONMENT = Environment(
    device_name="a processor",
    torch_version="2.13.0",
    fastai_version="2.8.12",
    cuda_version=None,
    cudnn_version=None,
    threads=1,
    deterministic_algorithms=True,
    tf32=False,
    data_sha256="d" * 64,
    source_sha256="s" * 64,
    instruction_set="AVX2",
    numeric_fingerprint="f" * 16,
)
PROVENANCE = Provenance("0.1.0", "c" * 40, False, "3.11.7", "Linux", None)  # noqa: FBT003
START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def made_up_record(
    variant: str,
    seed: int,
    *,
    epochs: int | None = None,
    environment: Environment = ENVIRONMENT,
    status: str = OK,
    error: str | None = None,
    dtype: str = "float32",
    injected_fault: str | None = None,
    backend: str | None = None,
) -> Record:
    """Return a record whose values are the notebook's, each moved by a seed's own small amount.

    It is of the notebook's own backend, unless ``backend`` names another.
    """
    count = VARIANTS[variant].epochs if epochs is None else epochs
    run = Run(
        variant,
        backend or VARIANTS[variant].backend,
        seed,
        dtype,
        "ones",
        "cpu",
        count,
        injected_fault,
    )
    identity = run_id(run, environment)
    generator = np.random.default_rng(seed)
    published = tables().query("model == @variant").head(count)
    outcome = Outcome(
        status=status,
        kernel="ATen",
        started_at=START,
        ended_at=START + timedelta(seconds=3),
        total_seconds=3.0,
        error=error,
        weights_sha256=f"weights of {identity}" if status in (OK, DIVERGED) else None,
    )
    rows = tuple(
        Epoch(
            run_id=identity,
            variant=variant,
            backend=run.backend,
            seed=seed,
            epoch=int(row["epoch"]),
            train_seconds=0.25,
            valid_seconds=0.125,
            **{m: abs(row[m] + 0.01 * generator.standard_normal()) for m in MEASURES},
        )
        for _, row in published.iterrows()
    )
    return Record(identity, run, environment, PROVENANCE, outcome, rows)


def with_outcome(record: Record, status: str, error: str | None = None) -> Record:
    """Return the record with another end; a failed one has no epochs."""
    outcome = replace(record.outcome, status=status, error=error)
    return replace(record, outcome=outcome, epochs=() if status == "failed" else record.epochs)


def contents_of(records: Iterable[Record]) -> Contents:
    """Return the records as a store reads them."""
    every = list(records)
    rows = {
        RUNS: [record.run_row() for record in every],
        EPOCHS: [row for record in every for row in record.epoch_rows()],
        THROUGHPUT: [],
    }
    frames = {
        table: pa.Table.from_pylist(rows[table], schema=schema).to_pandas()
        for table, schema in SCHEMAS.items()
    }
    return Contents(**frames, unreadable={})


def stored(folder: Path, records: Iterable[Record]) -> Store:
    """Return a new store with one file per record, as a training leaves it."""
    store = Store(folder)
    store.prepare()
    for record in records:
        store.write(record)
    return store


def throughput_rows(
    milliseconds: dict[str, float],
    *,
    variant: str = "Model4",
    rounds: int = 5,
    measurement_id: str = "m",
    started_at: datetime = START,
    device: str = "cpu",
    device_name: str = "a processor",
) -> pd.DataFrame:
    """Return a measurement in which every step takes so many milliseconds, by backend.

    ``nn`` has its A/A control, ``graphed`` is skipped, and every round is slower than the one
    before.
    """
    environment = replace(ENVIRONMENT, device_name=device_name)
    samples: list[tuple[Timed, Sample | None]] = []
    for backend, step in milliseconds.items():
        for aa_control in (False, True) if backend == "nn" else (False,):
            timed = Timed(
                variant, backend, aa_control, "float32", device, OK, None, "ATen",
                parity_float64=1e-15, parity_float32=2e-6,
            )  # fmt: skip
            for phase in ("train_step", "forward", "validation"):
                cost = replace(
                    timed,
                    phase=phase,
                    first_call_seconds=1.0,
                    compile_seconds=7.5 if backend == "compiled" else None,
                    peak_memory_bytes=3 * 1024**2 if phase == "train_step" else None,
                )
                samples += [
                    (cost, Sample(number, 0, 10, 12800, 0.01 * step * (1 + number), None))
                    for number in range(rounds)
                ]
    skipped = Timed(
        variant, "graphed", aa_control=False, dtype="float32", device=device, status=SKIPPED,
        error="graphed needs a GPU: a CPU has no CUDA graphs", kernel=None,
    )  # fmt: skip
    samples.append((skipped, None))
    measurement = Measurement(measurement_id, started_at, environment, PROVENANCE, tuple(samples))
    table = pa.Table.from_pylist(measurement.rows(), schema=THROUGHPUT_SCHEMA)
    frame: pd.DataFrame = table.to_pandas()
    return frame
