"""The provenance at the end: how to repeat it, and what it was made with."""

from __future__ import annotations

from tests.published.page import MODELS, OWN, Page, Records

LABELS = {
    "device": "device_name", "backend": "backend",
    "kernel of the recurrence": "kernel", "dtype": "dtype",
    "BatchNorm weights start": "initialisation", "CPU threads per run": "threads",
    "instruction set": "instruction_set", "numeric fingerprint": "numeric_fingerprint",
    "deterministic algorithms": "deterministic_algorithms", "TF32": "tf32",
    "torch": "torch_version", "fastai": "fastai_version", "CUDA": "cuda_version",
    "cuDNN": "cudnn_version", "driver": "driver_version", "Python": "python_version",
    "platform": "platform", "hnrnn": "package_version", "commit": "commit",
    "uncommitted changes": "dirty", "SHA-256 of the data": "data_sha256",
    "SHA-256 of the training code": "source_sha256",
}  # fmt: skip


def check(page: Page, records: Records) -> None:
    """Claim the commands and the table."""
    runs = records.runs
    own = runs["backend"] == runs["variant"].map(OWN)
    runs = runs[own & (runs["initialisation"] == "ones")]
    last = runs.groupby("variant")["seed"].max()
    assert (runs.groupby("variant")["seed"].nunique() == last + 1).all()  # without gaps
    for count in last.unique():
        names = [model for model in MODELS if last[model] == count]
        page.claim(
            f"python -m bench run --variants {' '.join(names)} --seeds 0-{count} "
            "--backends notebook --device cpu --dtype float32 --initialisation ones\n"
        )
    rows = [
        [label, "; ".join(sorted({str(value) for value in runs[column].dropna()})) or "-"]
        for label, column in LABELS.items()
    ]
    rows.append(["first run started", f"{runs['started_at'].min():%Y-%m-%d %H:%M} UTC"])
    rows.append(["last run ended", f"{runs['ended_at'].max():%Y-%m-%d %H:%M} UTC"])
    page.claim_table("## Provenance", rows)
