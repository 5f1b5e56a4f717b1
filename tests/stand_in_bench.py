"""Stands in for ``python -m bench`` in a copy of the project: its options, and made-up results.

The tests of the workflows put it over ``bench/__main__.py``. A profile of ``smoke`` really trains
two of the variants. For any other, the notebook's own backends are made up under as many seeds as a
verdict needs; ``fault.json`` in the working folder lowers the accuracy of the variants it names.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from bench.real_main import main as real_main
from bench.real_main import make_parser

from bench.commands.options import seeds_joined
from bench.plan import plan
from bench.plan.profiles import PROFILES
from bench.store.parquet import write_file
from bench.store.records import OK, Outcome, Run, recipe, run_id
from bench.store.schemas import EPOCHS_SCHEMA, RUNS_SCHEMA
from bench.store.store import THROUGHPUT, Contents, Store
from hnrnn.published import MEASURES, tables
from hnrnn.variants import VARIANTS
from tests.made_up import ENVIRONMENT, PROVENANCE, throughput_rows

FAULT = Path("fault.json")
NOTEBOOK, SEEDS = "notebook", 160
SMOKE = ("Model1", "Model4")


def train(runs: list[Run], results: str) -> None:
    """Store runs like the notebook's but for a draw each; ``Model2``'s is a rare one."""
    fault = json.loads(FAULT.read_text()) if FAULT.exists() else {}
    published = {str(name): rows for name, rows in tables().groupby("model")}
    now = datetime.now(UTC)
    outcome = Outcome(OK, "ATen", now, now, 1.0, train_seconds=1.0, valid_seconds=1.0)
    rows, epochs = [], []
    for run in runs:
        by = fault.get(run.variant, 0.0)
        identity = f"{run_id(run, ENVIRONMENT)}{by or ''}"
        draw = np.random.default_rng([run.seed, *run.variant.encode()]).standard_normal(3)
        moved = 0.05 * draw + np.array([by, by, -by]) + (0.3 if run.variant == "Model2" else 0)
        values = published[run.variant][list(MEASURES)].to_numpy() + moved
        parts = (run, ENVIRONMENT, PROVENANCE, outcome)
        row = {key: value for part in parts for key, value in asdict(part).items()}
        row |= recipe(run.variant) | {"run_id": identity, "epoch_rows": len(values)}
        rows.append(row | {"weights_sha256": f"{identity} weights"})
        for epoch, (train_loss, valid_loss, accuracy) in enumerate(values):
            key = {"run_id": identity, "epoch": epoch, "variant": run.variant}
            key |= {"backend": run.backend, "seed": run.seed}
            measured = {"train_loss": abs(train_loss), "valid_loss": abs(valid_loss)}
            measured["accuracy"] = min(max(accuracy, 0.0), 1.0)
            epochs.append(key | measured | {"train_seconds": 0.25, "valid_seconds": 0.125})
    frames = (
        pa.Table.from_pylist(each, schema=schema).to_pandas()
        for each, schema in ((rows, RUNS_SCHEMA), (epochs, EPOCHS_SCHEMA))
    )
    Store(results).write_contents(Contents(*frames, pd.DataFrame(), {}))


def time_backends(results: str) -> None:
    """Store a measurement."""
    store = Store(results)
    store.prepare([THROUGHPUT])
    now = datetime.now(UTC)
    shared: dict[str, Any] = {"measurement_id": f"{now:%Y%m%dT%H%M%S%f}", "started_at": now}
    frames = [
        throughput_rows({"nn": 1.0, "cell": 1.1, "custom": 1.2}, variant=name, **shared)
        for name in VARIANTS
        if name > "Model3"
    ]
    rows = pd.concat(frames, ignore_index=True)
    table = pa.Table.from_pandas(rows, preserve_index=False)
    table = pa.Table.from_pylist(table.to_pylist(), schema=table.schema)
    from bench.store.schemas import THROUGHPUT_SCHEMA

    write_file(store.path(THROUGHPUT, shared["measurement_id"]), table.cast(THROUGHPUT_SCHEMA))


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the command line."""
    words = sys.argv[1:] if arguments is None else arguments
    options = make_parser().parse_args(seeds_joined(words))
    if options.command == "throughput":
        time_backends(options.results)
        return 0
    if options.profile == "smoke":
        return real_main([*words, "--variants", *SMOKE, "--backends", NOTEBOOK, "--jobs", "1"])
    profile = PROFILES[options.profile]
    runs = plan.make_plan(
        variants=plan.parse_names(options.variants),
        backends=[NOTEBOOK] if options.backends is None else plan.parse_names(options.backends),
        seeds=plan.parse_seeds(options.seeds or str(SEEDS)),
        dtype=options.dtype,
        initialisation=options.initialisation,
        device=options.device,
        epochs=profile.epochs,
    )
    train(runs, options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
