"""A checkout has the bytes that were committed, wherever it is made."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.places import ROOT
from tests.repositories import git

FILES = (
    ".ci/run",
    "tox.ini",
    "hnrnn/training.py",
    "hnrnn/published/tables.csv",
    "reports/findings.toml",
    "reports/published/cpu/report/summary.md",
    "reports/published/cpu/report/Model0.png",
    "reports/published/cpu/runs/runs.parquet",
)
"""One of each kind."""


def test_checkout_with_crlf(tmp_path: Path) -> None:
    """Where git is set to write CRLF, as it is on many a Windows, every file keeps its bytes."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    for name in (".gitattributes", *FILES):
        (origin / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, origin / name)
    git(origin, "init", "--quiet")
    git(origin, "add", ".")
    git(origin, "commit", "--quiet", "--message", "All kinds")
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", "origin", "clone")
    for name in FILES:
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes(), name
    assert b"\r" not in (clone / ".ci" / "run").read_bytes()
