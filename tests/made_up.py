"""The one factory of made-up records, nights and measurements: nothing is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.store.records import (
    CALIBRATION,
    DIVERGED,
    OK,
    SKIPPED,
    Environment,
    Epoch,
    Measurement,
    Outcome,
    Record,
    Run,
    Sample,
    Timed,
    run_id,
)
from bench.store.schemas import EPOCHS_SCHEMA, RUNS_SCHEMA, THROUGHPUT_SCHEMA
from bench.store.store import EPOCHS, RUNS, SCHEMAS, THROUGHPUT, Contents, Store
from hnrnn.published import MEASURES, tables
from hnrnn.variants import VARIANTS
from tests.trainers import ENVIRONMENT, PROVENANCE

START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@cache
def published() -> dict[str, pd.DataFrame]:
    """Return the notebook's tables by variant."""
    return {str(variant): rows for variant, rows in tables().groupby("model")}


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
    own = backend or VARIANTS[variant].backend
    run = Run(variant, own, seed, dtype, "ones", "cpu", count, injected_fault)
    identity = run_id(run, environment)
    generator = np.random.default_rng(seed)
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
        for row in published()[variant].head(count).to_dict(orient="records")
    )
    return Record(identity, run, environment, PROVENANCE, outcome, rows)


def with_outcome(record: Record, status: str, error: str | None = None) -> Record:
    """Return the record with another end; a failed one has no epochs."""
    outcome = replace(record.outcome, status=status, error=error)
    return replace(record, outcome=outcome, epochs=() if status == "failed" else record.epochs)


def frame_of(rows: list[dict[str, Any]], schema: pa.Schema) -> pd.DataFrame:
    """Return rows as a file of the schema gives them back."""
    frame: pd.DataFrame = pa.Table.from_pylist(rows, schema=schema).to_pandas()
    return frame


def contents_of(records: Iterable[Record]) -> Contents:
    """Return the records as a store reads them."""
    every = list(records)
    rows = {
        RUNS: [record.run_row() for record in every],
        EPOCHS: [row for record in every for row in record.epoch_rows()],
        THROUGHPUT: [],
    }
    frames = {table: frame_of(rows[table], schema) for table, schema in SCHEMAS.items()}
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
    version: str = "calibration workload 1",
) -> pd.DataFrame:
    """Return a measurement in which every step takes so many milliseconds, by backend.

    ``nn`` has its A/A control, ``graphed`` is skipped, and each round is slower than the last. A
    ``calibration`` is the workload of that version.
    """
    environment = replace(ENVIRONMENT, device_name=device_name)
    samples: list[tuple[Timed, Sample | None]] = []
    for backend, step in milliseconds.items():
        for aa_control in (False, True) if backend == "nn" else (False,):
            timed = Timed(
                variant, backend, aa_control, "float32", device, OK, None,
                version if backend == CALIBRATION else "ATen",
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
                tokens = 10 if backend == CALIBRATION else 12800
                samples += [
                    (cost, Sample(number, 0, 10, tokens, 0.01 * step * (1 + number), None))
                    for number in range(rounds)
                ]
    skipped = Timed(
        variant, "graphed", aa_control=False, dtype="float32", device=device, status=SKIPPED,
        error="graphed needs a GPU: a CPU has no CUDA graphs", kernel=None,
    )  # fmt: skip
    samples.append((skipped, None))
    measurement = Measurement(measurement_id, started_at, environment, PROVENANCE, tuple(samples))
    return frame_of(measurement.rows(), THROUGHPUT_SCHEMA)


def made_up_epochs(
    seeds: int, *, moved: dict[str, float] | None = None, start: int = 0
) -> pd.DataFrame:
    """Return epochs like the notebook's but for one draw per run; ``moved`` adds to a variant's."""
    generators = [np.random.default_rng(seed) for seed in range(start, start + seeds)]
    draws = np.array([generator.standard_normal((len(published()), 3)) for generator in generators])
    frames = []
    for number, (variant, rows) in enumerate(published().items()):
        table = rows[list(MEASURES)].to_numpy() + (moved or {}).get(variant, 0.0)
        values = table + 0.05 * draws[:, number : number + 1]
        frame = pd.DataFrame(values.reshape(-1, 3), columns=list(MEASURES))
        frame["variant"] = variant
        frame["backend"] = VARIANTS[variant].backend
        frame["seed"] = np.repeat(np.arange(start, start + seeds), len(rows))
        frame["epoch"] = np.tile(rows["epoch"].to_numpy(), seeds)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def night_of(epochs: pd.DataFrame, samples: pd.DataFrame | None = None) -> Contents:
    """Return the night whose runs have these epochs, and all else from a made-up record.

    ``epochs`` has the measures by ``run_id``, ``variant``, ``backend``, ``seed`` and ``epoch``, and
    may have other columns of the ``runs`` table.
    """
    seconds = {"train_seconds": 0.25, "valid_seconds": 0.125}
    counts = epochs.groupby("run_id").size()
    own = [name for name in RUNS_SCHEMA.names if name in epochs and name not in seconds]
    templates = {name: made_up_record(name, 0).run_row() for name in set(epochs["variant"])}
    rows = [
        templates[row["variant"]] | row | dict.fromkeys(("epochs", "epoch_rows"), count)
        for row in epochs.drop_duplicates("run_id")[own].to_dict(orient="records")
        for count in [counts[row["run_id"]]]
    ]
    runs = pd.DataFrame(rows)[RUNS_SCHEMA.names]
    none = throughput_rows({"nn": 1.0}).iloc[:0]
    epochs = epochs.assign(**seconds)[EPOCHS_SCHEMA.names]
    return Contents(runs, epochs, none if samples is None else samples, {})


def notebook_night(
    seeds: int = 160,
    *,
    start: int = 0,
    moved: dict[str, float] | None = None,
    hashes: str = "",
    samples: pd.DataFrame | None = None,
) -> Contents:
    """Return a night of every variant on its own backend with values like the notebook's.

    ``moved`` adds to all values of a variant; ``hashes`` is part of every hash of weights.
    """
    epochs = made_up_epochs(seeds, moved=moved, start=start)
    # What is moved has to stay what a run can have.
    epochs[["train_loss", "valid_loss"]] = epochs[["train_loss", "valid_loss"]].abs()
    epochs["accuracy"] = epochs["accuracy"].clip(0, 1)
    epochs["run_id"] = epochs["variant"] + epochs["seed"].astype(str)
    epochs["weights_sha256"] = epochs["seed"].astype(str) + hashes
    return night_of(epochs, samples)
