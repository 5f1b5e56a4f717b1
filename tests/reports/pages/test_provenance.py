"""The commands that repeat a night."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.pages.provenance import commands
from tests.made_up import made_up_record


def runs(backend: str | None = None, epochs: int | None = None) -> pd.DataFrame:
    """Return three seeds of Model0, of a backend where one is named, and one of Model5."""
    records = [made_up_record("Model0", seed, backend=backend, epochs=epochs) for seed in (0, 1, 4)]
    records.append(made_up_record("Model5", 0, epochs=epochs))
    return pd.DataFrame([record.run_row() for record in records])


@pytest.mark.parametrize(
    ("night", "profile", "backend"),
    [
        (runs(), "", "notebook"),
        (runs("ensemble"), "", "ensemble"),
        (runs(epochs=1), " --profile smoke", "notebook"),
    ],
)
def test_a_line_for_the_same_seeds(night: pd.DataFrame, profile: str, backend: str) -> None:
    """Each line trains its variants with the same epochs and on the same backend as before."""
    options = "--device cpu --dtype float32 --initialisation ones"
    run = f"python -m bench run{profile}"
    assert commands(night).split("\n") == [
        f"{run} --variants Model0 --seeds 0-1,4 --backends {backend} {options}",
        f"{run} --variants Model5 --seeds 0 --backends notebook {options}",
    ]
