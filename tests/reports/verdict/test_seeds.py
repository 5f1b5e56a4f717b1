"""How many seeds a night needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.__main__ import main
from reports.commands.power import as_text
from reports.verdict.seeds import plan_seeds
from tests.made_up import made_up_record
from tests.reports.test_reports_check import whole_store


def grid(deviation: float, seeds: int = 50) -> pd.DataFrame:
    """Return one configuration whose accuracies have this standard deviation."""
    values = np.random.default_rng(0).standard_normal(seeds)
    values = 0.7 + deviation * (values - values.mean()) / values.std(ddof=1)
    return pd.DataFrame({"variant": "Model5", "backend": "nn", "accuracy": values})


def test_plan() -> None:
    """A wider spread or a smaller drop needs more seeds."""
    (narrow,) = plan_seeds(grid(0.01), 0.01, 0.9)
    (wide,) = plan_seeds(grid(0.02), 0.01, 0.9)
    (small,) = plan_seeds(grid(0.01), 0.005, 0.9)
    assert narrow.needed is not None
    assert wide.needed is not None
    assert wide.needed == small.needed
    assert wide.needed / narrow.needed == pytest.approx(4, rel=0.15)
    assert narrow.deviation == pytest.approx(0.01)
    assert narrow.seeds == 50


def test_what_the_seeds_at_hand_see() -> None:
    """The drop that the seeds at hand are said to see needs exactly that many seeds."""
    (plan,) = plan_seeds(grid(0.03), 0.01, 0.9)
    (again,) = plan_seeds(grid(0.03), plan.visible_drop * 1.0001, 0.9)
    assert again.needed == 50


def test_no_number_suffices() -> None:
    """Against a baseline of two seeds no number of seeds shows a small drop."""
    (plan,) = plan_seeds(grid(0.03, seeds=3), 0.001, 0.9)
    assert plan.needed_with_baseline is None
    assert "no number" in as_text([plan], 0.001, 0.9)


def test_single_and_diverged_runs() -> None:
    """A configuration with one finite run has no spread, and is left out."""
    runs = grid(0.01, seeds=2)
    runs.loc[0, "accuracy"] = np.nan
    assert plan_seeds(runs, 0.01, 0.9) == []


def test_few_seeds_beside_an_ensemble() -> None:
    """Two seeds of a variant are no ground for a plan where another backend has many."""
    many, few = grid(0.01).assign(backend="ensemble"), grid(0.01, seeds=2)
    (plan,) = plan_seeds(pd.concat([many, few]), 0.01, 0.9)
    (alone,) = plan_seeds(many, 0.01, 0.9)
    assert plan == alone
    assert plan.backend == "ensemble"
    assert len(plan_seeds(few, 0.01, 0.9)) == 1


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is one line per configuration; bad input is one line that says what would be right."""
    whole_store(tmp_path)
    assert main(["power", "--results", str(tmp_path), "--drop", "2"]) == 0
    output = capsys.readouterr().out
    assert "fall by 2 points" in output
    assert output.count("| Model") == 8
    # The limits of both are served.
    for limits in (["--drop", "0.01", "--power", "0.999"], ["--drop", "99", "--power", "0.25"]):
        assert main(["power", "--results", str(tmp_path), *limits]) == 0
        assert capsys.readouterr().out.count("| Model") == 8
    for name in ("runs", "epochs"):
        for path in (tmp_path / name).glob("*.parquet"):
            if not path.name.startswith(made_up_record("Model5", 0).run_id):
                path.unlink()
    assert main(["power", "--results", str(tmp_path)]) == 2
    assert "no configuration with two runs" in capsys.readouterr().err
