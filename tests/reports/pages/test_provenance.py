"""The commands that repeat a night."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.store.records import ENSEMBLE, LEARNER
from reports.pages.provenance import commands
from tests.report_data import made_up_record


def runs(engine: str = LEARNER, epochs: int | None = None) -> pd.DataFrame:
    """Return three seeds of Model0 and one of Model5."""
    records = [made_up_record("Model0", seed, engine=engine, epochs=epochs) for seed in (0, 1, 4)]
    records.append(made_up_record("Model5", 0, engine=engine, epochs=epochs))
    return pd.DataFrame([record.run_row() for record in records])


@pytest.mark.parametrize(
    ("night", "profile", "engine"),
    [
        (runs(), "", ""),
        (runs(ENSEMBLE), "", " --engine ensemble"),
        (runs(epochs=1), " --profile smoke", ""),
    ],
)
def test_a_line_for_the_same_seeds(night: pd.DataFrame, profile: str, engine: str) -> None:
    """Each line trains its variants for as many epochs, and by what trained them."""
    options = f"--backends notebook --device cpu --dtype float32 --initialisation ones{engine}"
    assert commands(night).split("\n") == [
        f"python -m bench run{profile} --variants Model0 --seeds 0-1,4 {options}",
        f"python -m bench run{profile} --variants Model5 --seeds 0 {options}",
    ]
