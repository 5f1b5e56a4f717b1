"""Baselines of next to nothing: files that are whole and sealed, which is all that is looked at."""

from __future__ import annotations

import json
from pathlib import Path

from bench.store.files import seal
from reports.runs import frozen


def parquet(text: str) -> bytes:
    """Return a sealed file of a parquet file's shape."""
    return seal(b"PAR1" + text.encode() + bytes(4) + b"PAR1")


def write_tables(folder: Path, text: str, *, throughput: bool = True) -> None:
    """Write what ``baseline freeze`` would."""
    for name in frozen.TABLES if throughput else frozen.NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(parquet(f"{text} {name}"))


def freeze(folder: Path, text: str, frozen_at: str = "2026-01-02T03:04:05Z", run: int = 0) -> None:
    """Write a whole baseline."""
    write_tables(folder, text)
    frozen.complete(folder, throughput=True)
    manifest = json.loads((folder / frozen.MANIFEST).read_text())
    manifest |= {"frozen": frozen_at, "workflow_run": run}
    (folder / frozen.MANIFEST).write_text(json.dumps(manifest))


def text_of(folder: Path) -> str:
    """Return the text that a whole baseline was written with; raise where it is not whole."""
    frozen.examine(folder)
    content = (folder / frozen.NEEDED[0]).read_bytes()
    return content[4:].split(b" ")[0].decode()
