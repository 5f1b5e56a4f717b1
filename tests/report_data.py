"""Made-up records for the tests of reports: no training."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.records import OK, Environment, Epoch, Outcome, Provenance, Record, Run, run_id
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
    plant: str | None = None,
) -> Record:
    """Return a record whose values are the notebook's, each moved by a seed's own small amount."""
    count = VARIANTS[variant].epochs if epochs is None else epochs
    run = Run(variant, VARIANTS[variant].backend, seed, dtype, "ones", "cpu", count, plant)
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
            **{measure: row[measure] + 0.01 * generator.standard_normal() for measure in MEASURES},
        )
        for _, row in published.iterrows()
    )
    return Record(identity, run, environment, PROVENANCE, outcome, rows)


def with_outcome(record: Record, status: str, error: str | None = None) -> Record:
    """Return the record with another end; a failed one has no epochs."""
    outcome = replace(record.outcome, status=status, error=error)
    return replace(record, outcome=outcome, epochs=() if status == "failed" else record.epochs)
