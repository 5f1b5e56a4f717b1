"""What ``bench rounding`` writes from its measurements: the published limits and rates."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.verification import measurement, summary

ROOT = Path(__file__).parents[3]
MEASURED = ROOT / "reports" / "published" / "rounding"


@pytest.mark.slow
def test_the_published_tables_come_from_the_published_measurements(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained anew, and each table is the published one, byte for byte."""
    for folder in ("healthy", "faults"):
        shutil.copytree(MEASURED / folder, tmp_path / folder)
    monkeypatch.setattr(measurement, "measure", lambda *_args, **_options: None)
    monkeypatch.setattr(summary, "record_all", lambda _variants: {})
    assert main(["rounding", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "Alarms on healthy kinds under the limits of the others:" in printed
    assert "weight_decay_0.011" in printed.split("Injected faults that are missed:")[1]
    limits = ("rounding.csv", "rounding_by_seed.csv")
    published = {name: ROOT / "hnrnn" / "published" / name for name in limits}
    published |= {path.name: path for path in MEASURED.glob("*.csv")}
    assert len(published) == 5
    for name, path in published.items():
        assert (tmp_path / name).read_bytes() == path.read_bytes(), name
    assert (tmp_path / "stages.json").read_text(encoding="utf-8") == "{}"
