"""The report's last section: what is needed to repeat a night."""

from __future__ import annotations

import shlex

import pandas as pd

from bench.plan.grid import NOTEBOOK
from bench.text import one_line
from hnrnn.variants import VARIANTS
from reports.pages.tables import NO_VALUE, table
from reports.runs.completeness import ranges

PROVENANCE = {
    "device_name": "device",
    "backend": "backend",
    "kernel": "kernel of the recurrence",
    "dtype": "dtype",
    "initialisation": "BatchNorm weights start",
    "threads": "CPU threads per run",
    "instruction_set": "instruction set",
    "numeric_fingerprint": "numeric fingerprint",
    "deterministic_algorithms": "deterministic algorithms",
    "tf32": "TF32",
    "torch_version": "torch",
    "fastai_version": "fastai",
    "cuda_version": "CUDA",
    "cudnn_version": "cuDNN",
    "driver_version": "driver",
    "python_version": "Python",
    "platform": "platform",
    "package_version": "hnrnn",
    "commit": "commit",
    "dirty": "uncommitted changes",
    "data_sha256": "SHA-256 of the data",
    "source_sha256": "SHA-256 of the training code",
}


def section(runs: pd.DataFrame) -> str:
    """Return the section: the commands that repeat the runs, and their software and device."""
    parts = ["## Provenance"]
    if len(runs):
        parts.append(f"To repeat it, at this commit:\n\n```\n{commands(runs)}\n```")
    rows = []
    for column, label in PROVENANCE.items():
        values = sorted(runs[column].dropna().astype(str).unique())
        rows.append([label, "; ".join(values) or NO_VALUE])
    if len(runs):
        rows.append(["first run started", f"{runs['started_at'].min():%Y-%m-%d %H:%M} UTC"])
        rows.append(["last run ended", f"{runs['ended_at'].max():%Y-%m-%d %H:%M} UTC"])
    header = ["what", "value"]
    return "\n\n".join([*parts, table(header, rows, text=header)])


def commands(runs: pd.DataFrame) -> str:
    """Return the commands that train what is shown: one per backend and range of seeds.

    Where runs differ in an option, it is that of the first.
    """
    first = runs.iloc[0]
    variants_of: dict[tuple[str, str], list[str]] = {}
    for name in [name for name in VARIANTS if name in set(runs["variant"])]:
        own = runs[runs["variant"] == name]
        backend = str(own["backend"].iloc[0])
        seeds = ranges(sorted(own["seed"].unique())).replace(" ", "")
        asked = NOTEBOOK if backend == VARIANTS[name].backend else backend
        variants_of.setdefault((seeds, asked), []).append(name)
    options = [
        word
        for option in ("device", "dtype", "initialisation")
        for word in (f"--{option}", str(first[option]))
    ]
    short = (runs["epochs"] < runs["recipe_epochs"]).all()
    profile = ["--profile", "smoke"] if short else []
    command = ["python", "-m", "bench", "run", *profile, "--variants"]
    return "\n".join(
        shlex.join(
            map(one_line, [*command, *names, "--seeds", seeds, "--backends", backend, *options])
        )
        for (seeds, backend), names in variants_of.items()
    )
