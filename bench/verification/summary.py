"""What ``bench rounding`` writes beside the measured distances, and what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.store.files import write_whole
from bench.verification.kinds import counts, family_of
from bench.verification.limits import rounding_table
from bench.verification.measurement import predictions_of, read
from bench.verification.rates import detection, false_alarms, false_alarms_of_seeds, summed
from bench.verification.stages import record_all
from hnrnn.variants import VARIANTS

TABLES = ("rounding", "rounding_by_seed")


def summarise(healthy: Path, faulty: Path, output: Path) -> str:
    """Write the limits and their rates as CSV files into ``output``; return the rates as text.

    ``rounding.csv`` and ``rounding_by_seed.csv`` are what ``hnrnn.published`` holds;
    ``false_alarms.csv`` has the alarms on each healthy kind under the limits of the others,
    ``false_alarms_of_seeds.csv`` those on each half of the seeds under those of the other, and
    ``detection.csv`` how often each injected fault is found.
    """
    runs = read(healthy)
    runs = runs[runs["kind"].map(counts)]
    families = {name: family_of(name) for name in runs["kind"].unique()}
    predictions = predictions_of(sorted(runs["variant"].unique()))
    limits = rounding_table(runs, predictions, families)
    tables = dict(zip(TABLES, limits, strict=False))
    # From the uniform start too few kinds were measured to leave one out.
    ones = runs[runs["initialisation"] == "ones"]
    tables["false_alarms"] = false_alarms(ones, predictions, families)
    tables["false_alarms_of_seeds"] = false_alarms_of_seeds(runs, predictions, families)
    lines = [
        "Alarms on healthy kinds under the limits of the others:",
        _alarms(tables["false_alarms"]),
        "",
        "Alarms on healthy seeds under the limits of the other half of the seeds:",
        _alarms(tables["false_alarms_of_seeds"]),
    ]
    if faulty.is_dir() and any(faulty.iterdir()):
        tables["detection"] = detection(read(faulty), *limits)
        lines += ["", "Injected faults that are missed:", _missed(tables["detection"])]
    for name, table in tables.items():
        write_whole(output / f"{name}.csv", table.to_csv(index=False).encode())
    return "\n".join(lines)


def write_stages(output: Path) -> None:
    """Write ``stages.json``: what the notebook's backends do at each stage; keep an older one."""
    path = output / "stages.json"
    if not path.exists():
        text = json.dumps(record_all(list(VARIANTS)), separators=(",", ":"))
        write_whole(path, text.encode())


def _alarms(rates: pd.DataFrame) -> str:
    table = summed(rates, ["initialisation", "seeds", "epochs"], "alarms")
    return table.to_string(index=False, float_format="{:.3g}".format)


def _missed(rates: pd.DataFrame) -> str:
    missed = rates[rates["found"] < rates["nights"]]
    if missed.empty:
        return "none"
    return missed.to_string(index=False, float_format="{:.3g}".format)
